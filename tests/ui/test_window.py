from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from drive_seg.errors import SinkError
from drive_seg.overlay import Painter
from drive_seg.ui.view import letterbox
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, FakePlayer, make_result

ROAD_BGR = list(CAMVID["road"][::-1])


@pytest.fixture
def player() -> FakePlayer:
    return FakePlayer()


@pytest.fixture
def window(qtbot: QtBot, player: FakePlayer) -> MainWindow:
    return opened(qtbot, player)


def opened(qtbot: QtBot, player: FakePlayer) -> MainWindow:
    made = MainWindow(player)
    qtbot.addWidget(made)
    made.show()
    player.start(made.notify)
    return made


def shown(window: MainWindow) -> list[int]:
    """The colour in the middle of the picture."""
    assert window.video.image is not None
    return window.video.image[24, 32].tolist()


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, **about: object) -> None:
    before = window.video.image
    player.sink.put(make_result(**about))  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=5000)


def test_m_cycles_overlay_mask_and_picture(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    overlay = shown(window)
    assert overlay == [round((100 + mask) / 2) for mask in ROAD_BGR]
    qtbot.keyClicks(window, "m")
    assert shown(window) == ROAD_BGR
    qtbot.keyClicks(window, "m")
    assert shown(window) == [100, 100, 100]
    qtbot.keyClicks(window, "m")
    assert shown(window) == overlay


def test_opacity_moves_at_once_within_its_bounds_also_while_paused(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    qtbot.keyClicks(window, " +")
    assert window.opacity == 0.6
    assert (window.video.image == Painter(player.palette).paint(make_result().frame.image, make_result().labels, 0.6)).all()
    assert window.panel.values["view"].text() == "overlay · 60%"
    qtbot.keyClicks(window, "=" * 9)
    assert shown(window) == ROAD_BGR
    qtbot.keyClicks(window, "-" * 12)
    assert window.opacity == 0
    assert shown(window) == [100, 100, 100]


def test_space_pauses_and_resumes(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, " ")
    assert window.state.text() == "● paused"
    qtbot.keyClicks(window, " ")
    assert window.state.text() == "● playing"
    assert player.calls == ["start", "pause", "resume"]


def test_a_step_pauses_first(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "..")
    assert player.calls == ["start", "pause", "step", "step"]


def test_after_the_end_the_last_frame_stays_and_nothing_can_be_played(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, index=7)
    player.finished, player.state = True, "ended"
    qtbot.waitUntil(lambda: window.state.text() == "● ended", timeout=5000)
    qtbot.keyClicks(window, " .")
    assert player.calls == ["start"]
    assert window.isVisible()
    assert window.panel.values["this frame"].text().startswith("#7 ")


@pytest.mark.parametrize("key", [Qt.Key.Key_Q, Qt.Key.Key_Escape])
def test_q_and_escape_close_the_window_and_stop_the_player(qtbot: QtBot, window: MainWindow, player: FakePlayer, key: Qt.Key) -> None:
    qtbot.keyClick(window, key)
    assert not window.isVisible()
    assert player.calls == ["start", "stop"]


def test_numbers_are_those_of_all_results_and_stay_during_a_pause(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    player.dropped = 4
    for index in range(20):
        player.sink.put(make_result(index, total_ms=4.0 if index < 19 else 44.0, age=index % 2))
    window.refresh()
    text = {name: value.text() for name, value in window.panel.values.items()}
    assert float(text["FPS"]) > 0
    assert text["p50"] == "4.0"
    assert text["p95"] == "6.0"
    assert text["key frames"] == "50%"
    assert text["age"] == "0.5 mean · 1 max"
    assert text["dropped"] == "4"
    qtbot.keyClicks(window, " ")
    qtbot.wait(1100)
    assert window.panel.values["p50"].text() == "4.0"


def test_the_frame_on_the_screen_is_described(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, index=12, total_ms=6.25, age=3)
    window.refresh()
    assert window.panel.values["this frame"].text() == "#12 · 6.2 ms · age 3"
    send(qtbot, window, player, index=13)
    window.refresh()
    assert window.panel.values["this frame"].text() == "#13 · 5.0 ms · key"
    assert window.panel.values["schedule"].text() == "age 0 of 4"
    assert window.panel.values["deep stage"].text() == "–"


def test_a_deep_stage_that_ran_and_frames_that_waited_for_it_are_told(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    cold = replace(make_result(0), cold=True, latency_ms={"total": 20.0, "high": 8.25})
    for result in (cold, make_result(1, age=1), make_result(2, age=2), make_result(3, age=3)):
        player.sink.put(result)
    window.refresh()
    assert window.panel.values["key frames"].text() == "25% · 1 cold"
    assert window.panel.values["deep stage"].text() == "8.2 ms"


def test_legend_names_every_class_with_its_share(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    labels = np.full((10, 10), 8, np.uint8)
    labels[:3], labels[3] = 0, 255
    send(qtbot, window, player, labels=labels)
    window.refresh()
    legend = window.panel.legend
    assert legend.classes == tuple(CAMVID)
    assert dict(zip(legend.classes, legend.shares, strict=True)) == dict.fromkeys(CAMVID, 0.0) | {"sky": 0.3, "car": 0.6}
    assert legend.grab().toImage().pixelColor(7, 8 * 26 + 10).getRgb()[:3] == CAMVID["car"]


def test_only_the_newest_of_many_is_shown(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    pictures = []
    show = window.video.show_image
    window.video.show_image = lambda image: (pictures.append(int(image[0, 0, 0])), show(image))[1]  # type: ignore[method-assign]
    qtbot.keyClicks(window, "mm")
    for index in range(100):
        player.sink.put(make_result(index, image=np.full((48, 64, 3), index, np.uint8)))
    qtbot.waitUntil(lambda: pictures[-1:] == [99], timeout=5000)
    assert len(pictures) <= 2  # the first signal may be served in between


@pytest.mark.parametrize(("labelled", "text"), [(True, "100.0%"), (False, None)])
def test_miou_only_where_the_source_is_labelled(qtbot: QtBot, labelled: bool, text: str | None) -> None:
    player = FakePlayer(labelled)
    window = opened(qtbot, player)
    send(qtbot, window, player, truth=np.full((48, 64), 3, np.uint8))
    window.refresh()
    row = window.panel.values.get("mIoU")
    assert (row.text() if row else None) == text


def test_an_error_in_the_window_closes_it_instead_of_aborting(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    player.sink.put(make_result(image=np.zeros((0, 0, 3), np.uint8)))
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)
    assert window.error is not None
    assert player.calls == ["start", "stop"]


def test_any_shape_is_letterboxed_and_painted(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "mm")
    for height, width in ((1080, 1920), (100, 3), (3, 100), (1, 1), (48, 64)):
        send(qtbot, window, player, image=np.full((height, width, 3), 200, np.uint8))
        picture = window.video.grab().toImage()
        assert picture.pixelColor(picture.width() // 2, picture.height() // 2).getRgb()[:3] == (200, 200, 200)


@pytest.mark.parametrize(
    ("image_hw", "into_hw", "fitted"),
    [
        ((720, 1280), (720, 1280), (720, 1280)),
        ((720, 1280), (720, 640), (360, 640)),
        ((480, 360), (240, 900), (240, 180)),
        ((1, 9999), (9, 9), (1, 9)),
    ],
)
def test_letterbox(image_hw: tuple[int, int], into_hw: tuple[int, int], fitted: tuple[int, int]) -> None:
    assert letterbox(image_hw, into_hw) == fitted


def test_snapshot_is_the_window(qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    import cv2

    send(qtbot, window, player)
    window.snapshot(tmp_path / "window.png")
    picture = cv2.imread(str(tmp_path / "window.png"))
    assert picture is not None
    assert picture.shape[:2] == (window.height(), window.width())
    with pytest.raises(SinkError, match=r"absent.*folder"):
        window.snapshot(tmp_path / "absent" / "window.png")

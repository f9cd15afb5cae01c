import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QApplication, QMessageBox, QToolButton
from pytestqt.qtbot import QtBot

from drive_seg import __version__
from drive_seg.classes import clear_palette
from drive_seg.errors import SinkError
from drive_seg.network.card import names
from drive_seg.overlay import Look, Painter
from drive_seg.session.compose import View
from drive_seg.settings import DEFAULT_MODEL, Settings
from drive_seg.ui.keeping import Memory
from drive_seg.ui.pages.inspector import NAMES
from drive_seg.ui.theme import DARK, LIGHT
from drive_seg.ui.view import letterbox
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_result
from tests.ui.fakes import INFO, FakePlayer, Opened, half_and_half
from tests.waiting import PATIENCE_MS

ROAD_BGR = list(CAMVID["road"][::-1])
BLENDED = [round((100 + mask) / 2) for mask in ROAD_BGR]


def shown(window: MainWindow, x: int = 32) -> list[int]:
    """The colour in the middle of the picture."""
    assert window.video.image is not None
    return window.video.image[24, x].tolist()  # type: ignore[no-any-return]


def send(qtbot: QtBot, window: MainWindow, player: FakePlayer, *results: object) -> None:
    before = window.video.image
    player.put(*results)  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: window.video.image is not before, timeout=PATIENCE_MS)


def test_m_cycles_overlay_mask_and_picture(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    assert shown(window) == BLENDED
    qtbot.keyClicks(window, "m")
    assert shown(window) == ROAD_BGR
    qtbot.keyClicks(window, "m")
    assert shown(window) == [100, 100, 100]
    qtbot.keyClicks(window, "m")
    assert shown(window) == BLENDED
    window.panel.view.choose("mask")
    assert shown(window) == ROAD_BGR


def test_opacity_acts_at_once_also_while_paused_and_on_what_is_recorded(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    qtbot.keyClicks(window, " +")
    assert player.look.opacity == 0.6
    expected = Painter(Look(player.now.palette, 0.6)).paint(make_result().frame.image, make_result().labels)
    assert np.array_equal(np.asarray(window.video.image), expected)
    qtbot.keyClicks(window, "=" * 9)
    assert shown(window) == ROAD_BGR
    qtbot.keyClicks(window, "-" * 12)
    assert player.look.opacity == 0
    window.panel.opacity.setValue(20)
    assert shown(window) == ROAD_BGR
    window.refresh()
    assert window.panel.opacity_says.text() == "100%"


def test_a_class_is_hidden_shown_alone_and_brought_back(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    road, car = list(CAMVID).index("road"), list(CAMVID).index("car")
    send(qtbot, window, player, half_and_half(road, car))
    legend, mask = window.panel.legend, list(CAMVID["car"][::-1])
    window.panel.view.choose("mask")
    row_px = legend.height() // len(CAMVID)

    def click(number: int, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        qtbot.mouseClick(legend, Qt.MouseButton.LeftButton, modifier, QPointF(30, number * row_px + 6).toPoint())

    click(road)
    assert (shown(window, 10), shown(window, 50)) == ([0, 0, 0], mask)
    click(road, Qt.KeyboardModifier.ShiftModifier)
    assert (shown(window, 10), shown(window, 50)) == (ROAD_BGR, [0, 0, 0])
    qtbot.keyClicks(window, "a")
    assert (shown(window, 10), shown(window, 50)) == (ROAD_BGR, mask)
    legend.setFocus()
    qtbot.keyClick(legend, Qt.Key.Key_Down)
    qtbot.keyClick(legend, Qt.Key.Key_Space)
    assert player.look.hidden == {road + 1}
    assert not player.now.paused  # the list's key, while it has the focus


def test_contours_leave_the_areas_as_they_are(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, half_and_half(0, 3))
    qtbot.keyClicks(window, "c")
    assert shown(window, 5) == [100, 100, 100]
    picture = np.asarray(window.video.image)
    assert (picture[24] != 100).any()
    window.panel.boxes["contours"].click()
    assert shown(window, 5) != [100, 100, 100]


def test_clear_colours_replace_the_networks_own(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player)
    window.panel.boxes["clear"].click()
    qtbot.keyClicks(window, "m")
    assert shown(window) == list(clear_palette(list(CAMVID))[3][::-1])
    assert player.look.palette == clear_palette(list(CAMVID))
    qtbot.keyClicks(window, "v")
    assert shown(window) == ROAD_BGR


def test_clear_colours_are_the_default_unless_somebody_gave_the_classes_colours(opened: Opened, memory: Memory) -> None:
    memory.settings.remove("look/clear")
    usual, given = FakePlayer(), FakePlayer()
    opened(usual)
    assert usual.look.palette == clear_palette(list(CAMVID))
    assert usual.look.outlined == {list(CAMVID).index("pedestrian"), list(CAMVID).index("bicyclist")}
    given.now = replace(given.now, palette=((1, 2, 3), *given.now.palette[1:]))
    opened(given)
    assert given.look.palette == given.now.palette


def test_playing(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(100))
    window.refresh()
    qtbot.keyClicks(window, " ")
    assert player.now.paused
    assert window.parts.state.text() == "● paused"
    qtbot.keyClicks(window, " ")
    assert window.parts.state.text() == "● playing"
    qtbot.keyClicks(window, "..")
    assert player.now.paused
    qtbot.keyClicks(window, ",")
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Home):
        qtbot.keyClick(window, key)
    assert player.calls == ["step", "step", ("seek", 99), ("seek", 250), ("seek", 0), ("seek", 0)]
    qtbot.keyClicks(window, "]")
    assert player.now.speed == 1.5
    window.transport.speed.choose("0.5")
    assert player.now.speed == 0.5
    qtbot.keyClick(window, Qt.Key.Key_Backspace)
    assert player.now.speed == 1.0
    qtbot.keyClick(window, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.loop


def test_a_live_source_has_no_way_back(opened: Opened) -> None:
    player = FakePlayer(replace(INFO, name="camera 0", live=True, frame_count=None))
    window = opened(player)
    assert not any(window.keys[name].isEnabled() for name in ("back", "forward", "home", "loop", "faster"))
    assert not window.transport.speed.isEnabled()
    assert window.transport.place.text() == "live · #0"


def test_every_control_of_the_network_changes_what_runs(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    panel = window.panel
    panel.model.choose("camvid-large")
    panel.backend.choose("onnxruntime")
    panel.propagation.choose("attend")
    panel.mode.choose("async")
    panel.schedule.kind.choose("adaptive")
    now = player.now.settings
    assert (now.model, now.backend, now.propagation, now.mode, now.schedule) == (
        "camvid-large", "onnxruntime", "attend", "async", "clockwork:adaptive=0.1",
    )  # fmt: skip
    window.refresh()
    panel.schedule.slider.setValue(panel.schedule.slider.value() + 2)
    assert player.now.settings.schedule == "clockwork:adaptive=0.11"
    window.refresh()
    assert panel.schedule.says.text() == "refresh at 11.0% changed labels"
    qtbot.keyClick(window, Qt.Key.Key_Up)
    qtbot.keyClick(window, Qt.Key.Key_Up)
    qtbot.keyClick(window, Qt.Key.Key_Down)
    assert player.now.settings.schedule == "clockwork:adaptive=0.115"
    panel.backend.choose("best")
    assert player.now.settings.backend is None
    window.refresh()
    bundles = names()
    for _ in range((bundles.index("camvid") - bundles.index("camvid-large")) % len(bundles)):
        qtbot.keyClicks(window, "b")
        window.refresh()
    qtbot.keyClicks(window, "sy")
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.model == "camvid"
    assert player.now.settings.schedule == "keyframe:0.08"
    assert player.now.settings.mode == "sync"
    assert player.calls == ["refresh"]


def test_a_bundle_without_the_propagation_gets_the_plain_one(window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    from tests.fakes import make_bundle

    player.change(propagation="attend")
    window.cockpit.update()
    window.cockpit.set_model(str(make_bundle(tmp_path / "small").folder))
    assert player.now.settings.propagation == "hold"


def test_what_is_refused_is_said_and_changes_nothing(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    window.panel.backend.choose("refused")
    assert window.bar.isVisible()
    assert "refused: cannot be changed" in window.bar.text.text()
    assert player.now.settings.backend is None


def test_troubles_stand_in_the_window_until_dismissed(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    player.fail("the camera is gone; plug it in again")
    window.refresh()
    assert window.bar.text.text() == "⚠  the camera is gone; plug it in again"
    assert window.isVisible()
    assert window.parts.state.text() == "● failed"
    window.cockpit.told.emit("saved something", False)
    assert "camera" in window.bar.text.text()  # a notice does not hide a failure
    qtbot.mouseClick(window.bar.cross, Qt.MouseButton.LeftButton)
    window.refresh()
    assert not window.bar.isVisible()  # the same one does not come back
    player.fail("again; look")
    window.refresh()
    assert window.bar.isVisible()


def test_the_end_leaves_the_last_frame(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    send(qtbot, window, player, make_result(299))
    player.now = replace(player.now, state="ended")
    window.refresh()
    assert window.isVisible()
    assert window.parts.state.text() == "● ended"
    assert window.panel.facts.values["This frame"].text().startswith("#299 ")


def test_dropping_a_file_plays_it(window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "other.mp4"))])
    mouse, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, mouse, keys))
    assert player.now.settings.source == str(tmp_path / "other.mp4")
    assert window.memory.recent == [str(tmp_path / "other.mp4")]


def test_dialogs_open_sources(window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PyQt6.QtWidgets import QFileDialog

    from drive_seg.ui.opening import AddressDialog

    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "a.mp4"), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    monkeypatch.setattr(AddressDialog, "exec", lambda self: self.address.setCurrentText("camera 2") or 1)
    for action, source in (("open", str(tmp_path / "a.mp4")), ("open-folder", str(tmp_path)), ("open-camera", "2")):
        window.keys[action].trigger()
        assert player.now.settings.source == source
    window.keys["folder"].trigger()
    assert window.memory.folder == tmp_path


def test_snapshot_and_recording_go_into_the_folder(qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    send(qtbot, window, player, make_result(7))
    window.refresh()
    qtbot.keyClicks(window, "p")
    qtbot.waitUntil(lambda: window.bar.isVisible(), timeout=PATIENCE_MS)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "drive-000007-mask.png", "drive-000007-overlay.png", "drive-000007.json", "drive-000007.png",
    ]  # fmt: skip
    qtbot.keyClicks(window, "r")
    assert player.now.recording is not None
    assert player.now.recording.parent == tmp_path / "kept"
    qtbot.waitUntil(lambda: "recording" in window.parts.about.text(), timeout=PATIENCE_MS)
    qtbot.keyClicks(window, "r")
    assert player.now.recording is None


def test_recordings_begun_within_a_second_do_not_share_a_name(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive_seg.ui.keeping.time.strftime", lambda form: "drive-seg-20261128-070000.mp4")
    begun = []
    for ending in ("", ".part", ""):  # of what is there then: recorded, and under way by somebody else
        qtbot.keyClicks(window, "r")
        assert player.now.recording is not None
        begun.append(player.now.recording.name)
        player.now.recording.with_name(player.now.recording.name + ending).touch()
        qtbot.keyClicks(window, "r")
    assert begun == [f"drive-seg-20261128-070000{number}.mp4" for number in ("", "-2", "-3")]


def test_nothing_is_kept_where_it_would_do_harm(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "played"
    folder.mkdir()
    (folder / "000007.png").write_text("a picture")
    (tmp_path / "link.csv").hardlink_to(folder / "000007.png")
    player.now = replace(player.now, settings=Settings.load(None, {"source": str(folder)}))
    send(qtbot, window, player, make_result(7))
    window.refresh()
    window.memory.keep(folder=folder)
    qtbot.keyClicks(window, "p")
    qtbot.waitUntil(lambda: "is what --source reads; choose another folder" in window.bar.text.text(), timeout=PATIENCE_MS)
    window.cockpit.keeper.save_areas(tmp_path / "link.csv")
    qtbot.waitUntil(lambda: "link.csv: is what --source reads; give another name" in window.bar.text.text(), timeout=PATIENCE_MS)
    assert [path.name for path in folder.iterdir()] == ["000007.png"]
    assert (tmp_path / "link.csv").read_text() == "a picture"


def test_a_folder_that_cannot_be_made_is_said(qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    window.memory.keep(folder=tmp_path / "file" / "below")
    qtbot.keyClicks(window, "r")
    assert "cannot be made" in window.bar.text.text()
    assert player.now.recording is None


def test_numbers_and_legend_say_what_is_true(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(20):
        player.put(make_result(index, total_ms=4.0 if index < 19 else 44.0, age=index % 2))
    labels = np.full((10, 10), 8, np.uint8)
    labels[:3] = 0
    send(qtbot, window, player, make_result(20, labels=labels, total_ms=6.25, age=3))
    window.refresh()
    facts = {key: value.text() for key, value in window.panel.facts.values.items()}
    assert window.panel.big["p50"].text() == "4.0"
    assert (facts["This frame"], facts["Decision"]) == ("#20 · 6.2 ms · age 3", "age 3 of 4")
    shares = dict(zip(window.panel.legend.classes, window.panel.legend.shares, strict=True))
    assert shares["sky"] == pytest.approx(0.3)
    assert shares["car"] == pytest.approx(0.7)
    assert "mIoU, live" not in window.panel.facts.values


def test_miou_where_the_source_knows_the_truth(qtbot: QtBot, opened: Opened) -> None:
    player = FakePlayer(replace(INFO, labelled=True))
    window = opened(player)
    send(qtbot, window, player, make_result(truth=np.full((48, 64), 3, np.uint8)))
    window.refresh()
    assert window.panel.facts.values["mIoU, live"].text() == "100.0%"


def test_only_the_newest_of_many_is_shown(qtbot: QtBot, window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures: list[int] = []
    show = window.video.show_image
    monkeypatch.setattr(window.video, "show_image", lambda *about: (pictures.append(int(about[0][0, 0, 0])), show(*about)))
    qtbot.keyClicks(window, "mm")
    with monkeypatch.context() as stopped:
        now_s = time.perf_counter()
        stopped.setattr(time, "perf_counter", lambda: now_s)  # all of them come within one picture's time, however slow the machine is
        for index in range(100):
            player.put(make_result(index, image=np.full((48, 64, 3), index, np.uint8)))
        assert pictures == [0]
    qtbot.waitUntil(lambda: pictures == [0, 99], timeout=PATIENCE_MS)


def test_a_frame_that_came_before_the_window_is_shown(qtbot: QtBot, opened: Opened) -> None:
    player = FakePlayer()
    player.put()
    window = opened(player)
    qtbot.waitUntil(lambda: window.video.image is not None, timeout=PATIENCE_MS)


def test_every_frame_of_sixty_a_second_is_shown_though_they_do_not_come_in_step(
    window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    QApplication.processEvents()
    pictures: list[int] = []
    monkeypatch.setattr(window.video, "show_image", lambda image, captured_s: pictures.append(int(image[0, 0, 0])))
    window.cockpit.set_view(View.PICTURE)
    pictures.clear()
    start_s = time.perf_counter() + 1
    late = np.random.default_rng(0).uniform(0, 0.008, 200)
    for index in range(200):
        now_s = start_s + index / 60 + late[index]
        monkeypatch.setattr(time, "perf_counter", lambda now_s=now_s: now_s)
        player.put(make_result(index, image=np.full((48, 64, 3), index, np.uint8)))
    assert pictures == list(range(200))


def test_the_meter_counts_each_frame_once(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(3):
        send(qtbot, window, player, make_result(index))
        qtbot.waitUntil(lambda index=index: len(window.meter.qt_ms) == index + 1, timeout=PATIENCE_MS)
    qtbot.keyClicks(window, "m")
    qtbot.wait(30)
    assert len(window.meter.glass_ms) == len(window.meter.cpu_ms) == 3
    assert all(ms > 0 for ms in [*window.meter.qt_ms, *window.meter.glass_ms])


def test_any_shape_is_letterboxed_and_painted(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "mm")
    for height, width in ((1080, 1920), (100, 3), (3, 100), (1, 1), (48, 64)):
        send(qtbot, window, player, make_result(image=np.full((height, width, 3), 200, np.uint8)))
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


def test_i_opens_and_closes_the_inspector_and_numbers_choose_its_pages(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClicks(window, "i")
    assert window.inspector.isVisible()
    for number, name in enumerate(NAMES, 1):
        qtbot.keyClicks(window, str(number))
        assert (window.inspector.isVisible(), window.inspector.name) == (True, name)
    qtbot.keyClicks(window, "i")
    assert not window.inspector.isVisible()
    qtbot.keyClicks(window, "4")
    window.inspector.arrows["next"].click()
    assert (window.inspector.isVisible(), window.inspector.name) == (True, NAMES[4])
    window.inspector.arrows["close"].click()
    assert not window.inspector.isVisible()


def test_parts_can_be_put_away_and_all_of_them(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClicks(window, "og")
    assert not window.panel.isVisible()
    assert not window.strip.isVisible()
    qtbot.keyClicks(window, "o")
    qtbot.keyClicks(window, "h")
    assert not any(part.isVisible() for part in (window.panel, window.strip, window.transport, window.menuBar()))
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.panel.isVisible()
    assert not window.strip.isVisible()  # as it was


def test_a_narrow_window_has_room_for_one_column(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(800, 600)
    qtbot.waitUntil(lambda: window.width() == 800, timeout=PATIENCE_MS)
    qtbot.keyClicks(window, "i")
    assert (window.inspector.isVisible(), window.panel.isVisible()) == (True, False)
    assert window.video.width() >= 320
    window.show_part("inspector", False)
    assert (window.inspector.isVisible(), window.panel.isVisible()) == (False, True)


def test_dark_and_light(qtbot: QtBot, window: MainWindow) -> None:
    def ground() -> str:
        return window.video.grab().toImage().pixelColor(3, 3).name()

    assert ground() == DARK.ground
    qtbot.keyClicks(window, "t")
    assert ground() == LIGHT.ground
    assert window.strip.plot.view.backgroundBrush().color().name() == LIGHT.panel


def test_full_screen_is_the_picture_alone(qtbot: QtBot, window: MainWindow) -> None:
    around = (window.panel, window.strip, window.transport, window.menuBar(), window.statusBar())
    qtbot.keyClicks(window, "f")
    assert window.isFullScreen()
    assert not any(part.isVisible() for part in around if part)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isFullScreen()
    assert all(part.isVisible() for part in around if part)
    qtbot.mouseDClick(window.video, Qt.MouseButton.LeftButton)
    assert window.isFullScreen()
    assert not any(part.isVisible() for part in around if part)
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert all(part.isVisible() for part in around if part)


def test_about_says_the_version(qtbot: QtBot, window: MainWindow) -> None:
    window.keys["about"].trigger()
    box = window.findChild(QMessageBox)
    assert box is not None
    assert __version__ in box.text()
    box.close()


def test_borders_are_chosen_by_key_and_box(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    chosen = []
    for _ in range(3):
        qtbot.keyClicks(window, "w")
        chosen.append(player.now.settings.refine)
        window.refresh()
    assert chosen == ["edges", "smooth", None]
    window.panel.refine.choose("smooth")
    assert player.now.settings.refine == "smooth"


def test_confidence_is_switched_by_key_and_button(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClick(window, "w", Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.confidence
    window.refresh()
    (button,) = (part for part in window.panel.findChildren(QToolButton) if part.defaultAction() is window.keys["confidence"])
    assert button.isChecked()
    button.click()
    assert not player.now.settings.confidence


def test_layout_and_choices_are_kept(qtbot: QtBot, window: MainWindow, player: FakePlayer, memory: Memory, opened: Opened) -> None:
    qtbot.keyClicks(window, "gtcv+i")
    window.inspector.open("cache")
    window.cockpit.set_comparison({"schedule": "clockwork:6"})
    window.panel.sections["look"].head.click()
    window.resize(1200, 700)
    qtbot.waitUntil(lambda: window.width() == 1200, timeout=PATIENCE_MS)
    window.close()
    assert player.closed
    again = FakePlayer()
    other = opened(again)
    other.show()
    assert (again.look.opacity, again.look.contours, again.look.palette) == (0.6, True, clear_palette(list(CAMVID)))
    assert other.theme is LIGHT
    assert (other.strip.isVisible(), other.inspector.isVisible(), other.inspector.name) == (False, True, "cache")
    assert not other.panel.sections["look"].inside.isVisible()
    assert other.cockpit.comparison == {"schedule": "clockwork:6"}
    assert other.memory.settings.value("geometry") is not None
    told = FakePlayer(opacity=0.2)
    opened(told)
    assert told.look.opacity == 0.2  # the command line goes before what is remembered


def test_snapshot_of_the_window(qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    import cv2

    send(qtbot, window, player)
    window.snapshot(tmp_path / "window.png")
    picture = cv2.imread(str(tmp_path / "window.png"))
    assert picture is not None
    assert picture.shape[:2] == (window.height(), window.width())
    with pytest.raises(SinkError, match=r"absent.*folder"):
        window.snapshot(tmp_path / "absent" / "window.png")


def test_the_controls_come_back_when_the_window_is_wide_again(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClicks(window, "i")
    assert window.panel.isVisible()
    window.resize(800, 600)
    qtbot.waitUntil(lambda: not window.panel.isVisible(), timeout=PATIENCE_MS)
    window.refresh()
    assert not window.keys["panel"].isChecked()
    window.resize(1420, 820)
    qtbot.waitUntil(window.panel.isVisible, timeout=PATIENCE_MS)


def test_boxes_show_what_is_wished_until_it_runs_or_fails(window: MainWindow, player: FakePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "change", lambda **settings: player.calls.append(settings))
    window.panel.model.choose("camvid-large")
    window.refresh()
    assert (player.now.settings.model, window.panel.model.currentData()) == (DEFAULT_MODEL, "camvid-large")
    player.fail("camvid-large: is broken; choose another", state="playing")
    window.refresh()
    assert window.panel.model.currentData() == DEFAULT_MODEL


def test_the_menus_stand_in_the_middle_of_their_bar(window: MainWindow) -> None:
    bar = window.menuBar()
    assert bar is not None
    for action in bar.actions():
        assert abs(bar.actionGeometry(action).center().y() - bar.rect().center().y()) <= 2

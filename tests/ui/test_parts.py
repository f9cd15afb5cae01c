"""Strip, seek bar, comparison and pages, by what they draw and say."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QStandardItemModel
from PyQt6.QtWidgets import QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from drive_seg.contracts import Confidence, Reason, Result
from drive_seg.network.card import Card, load_bundle, names
from drive_seg.network.schedule import KINDS
from drive_seg.session.audit import Agreement
from drive_seg.session.compose import View
from drive_seg.session.figures import Numbers
from drive_seg.session.film import DIFFERENT
from drive_seg.session.history import moment_of
from drive_seg.ui.bars import key_marks
from drive_seg.ui.choices import nudged
from drive_seg.ui.pages.accuracy import AccuracyPage
from drive_seg.ui.pages.areas import Areas
from drive_seg.ui.pages.audit import AuditPage
from drive_seg.ui.pages.cache import CachePage
from drive_seg.ui.pages.compare import Compare
from drive_seg.ui.pages.engine import EnginePage
from drive_seg.ui.pages.source import SourcePage
from drive_seg.ui.pages.timings import Timings
from drive_seg.ui.presets import choices
from drive_seg.ui.schedulebox import ScheduleBox
from drive_seg.ui.strip import GROUPS, LENGTH, SPARED, Columns, in_words
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID, make_bundle, make_result
from tests.ui.fakes import FakePlayer, decided
from tests.waiting import PATIENCE_MS

PAGES = {
    "Timings": Timings, "Cache": CachePage, "Source": SourcePage, "Engine": EnginePage, "Class areas": Areas,
    "Audit by age": AuditPage, "A/B numbers": Compare, "Accuracy": AccuracyPage,
}  # fmt: skip


def fill(window: MainWindow, player: FakePlayer, *reasons: tuple[Reason, bool]) -> None:
    for index, (reason, key) in enumerate(reasons):
        player.put(decided(index, reason, key, 0.09 if key else 0.02, 0.08, total_ms=4.0 + index))
    window.refresh()


def x_of(window: MainWindow, at: int) -> float:
    """The pixel column of one of the moments in the strip."""
    strip = window.strip
    scene = strip.latency.box.mapViewToScene(QPointF(LENGTH - len(strip.moments) + at, 1))
    return float(strip.plot.view.mapFromScene(scene).x())


def test_the_strip_colours_each_refresh_by_its_reason(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    fill(window, player, ("first", True), ("score", False), ("score", True), ("age", True), ("cut", True), ("manual", True), ("jump", True))
    colours = [None if pixel[3] == 0 else "#{:02X}{:02X}{:02X}".format(*pixel[:3]) for pixel in window.strip._band.image[-7:, 0]]
    assert colours == [GROUPS[group][1].upper() if group else None for group in ("first", "", "change", "age", "cut", "manual", "jump")]
    x, y = window.strip._lines["latency"].getData()
    assert (x[-1], y[-1], len(y)) == (LENGTH - 1, 10.0, 7)
    assert window.strip._lines["threshold"].getData()[1].tolist() == pytest.approx([0.08] * 7)
    assert "scene&nbsp;cut" in window.strip.head.text()


def every_frame(index: int) -> Result:
    """In a run that refreshes on each: every fifth frame has a quarter of its labels changed, and keeps them so."""
    labels = np.zeros((12, 16), np.uint8)
    labels[:, : 4 * (index // 5 % 4)] = 1
    return decided(index, "every", True, labels=labels)


def test_a_run_on_every_frame_shows_what_could_have_been_kept_and_offers_to(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    for index in range(21):
        player.put(every_frame(index))
    window.refresh()
    strip = window.strip
    spared = [pixel[3] == SPARED for pixel in strip._band.image[-20:, 0]]
    assert [at for at, one in enumerate(spared, 1) if not one] == [6, 11, 16]  # a change shows with the frame after it
    assert {tuple(pixel[:3]) for pixel in strip._band.image[-20:, 0]} == {tuple(bytes.fromhex(GROUPS["clock"][1][1:]))}
    assert strip._lines["threshold"].getData()[1][-1] == pytest.approx(0.03)
    assert strip._lines["score"].getData()[1][-1] == 0.0
    assert "Faint, 85%: hardly any labels had changed" in strip.head.text()
    assert "hardly any labels had changed: 0.000 of 0.030" in in_words(strip.moments[-1])
    assert player.now.settings.schedule == "every-frame"  # nothing was changed unasked
    strip.head.linkActivated.emit("balanced")
    settings = player.now.settings
    balanced = choices(settings.model, load_bundle(settings.model).card)["balanced"]
    assert {name: getattr(settings, name) for name in balanced} == balanced
    assert settings.schedule != "every-frame"
    player.put(decided(21, "manual", True))
    window.refresh()
    assert "every frame is computed anew" in strip.head.text()  # as far as that frame tells
    player.put(decided(22, "change", False, 0.05, 0.1))
    window.refresh()
    assert "refreshed for:" in strip.head.text()  # at once, though every other frame of the time line is one of those


def test_what_is_drawn_of_new_frames_alone_is_what_would_be_drawn_of_all() -> None:
    moments = [moment_of(every_frame(at) if at % 7 else decided(at, "score", at % 2 == 0, 0.3, 0.2), 2) for at in range(2 * LENGTH)]
    columns, count = Columns(), 0
    for new in (1, 5, 0, 300, 250, 200, 600, 1):
        count = min(count + new, len(moments))
        fresh, shown = Columns(), tuple(moments[:count][-LENGTH:])
        columns.show(shown)
        fresh.show(shown)
        for one, other in ((columns.values, fresh.values), (columns.marks, fresh.marks), (columns.people, fresh.people)):
            assert np.array_equal(one, other, equal_nan=one.dtype == np.float64)
    columns.show(())
    assert np.isnan(columns.values).all()
    assert not columns.marks.any()


def test_hovering_says_a_frame_in_words_and_a_click_goes_there(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    fill(window, player, ("first", True), *([("score", False)] * 300), ("score", True))
    viewport = window.strip.plot.view.viewport()
    qtbot.mouseMove(viewport, QPoint(round(x_of(window, 301)), 20))
    assert window.strip.head.text().startswith("frame 301 · 305.0 ms · key frame (change, score: score 0.09) · feature age 0")
    qtbot.mouseMove(viewport, QPoint(round(x_of(window, 150)), 20))
    assert "no key frame (change, score: score 0.02) · feature age 2" in window.strip.head.text()
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(round(x_of(window, 150)), 20))
    (kind, index), *_ = player.calls  # type: ignore[misc]
    assert kind == "seek"
    assert index == pytest.approx(150, abs=1)
    player.now, player.calls = replace(player.now, seekable=False), []
    window.refresh()
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(round(x_of(window, 150)), 20))
    assert player.calls == []


def test_confidence_is_a_map_a_line_and_words_while_the_network_tells_it(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    steps = np.full((12, 16), 255, np.uint8)
    steps[:, 8:] = 102
    told = Confidence(steps, np.full((12, 16), 1, np.uint8))
    player.put(make_result(0))
    window.refresh()
    assert not window.strip.confidences.box.isVisible()
    assert View.DOUBT not in window.cockpit.views
    qtbot.keyClick(window, "z", Qt.KeyboardModifier.ShiftModifier)
    assert player.now.settings.confidence
    player.put(replace(make_result(1), confidence=told))
    qtbot.waitUntil(lambda: window.cockpit.shown is not None and window.cockpit.shown.result.confidence is told, timeout=PATIENCE_MS)
    window.refresh()
    image = window.cockpit.compose(lambda frame: (48, 64))
    assert image is not None
    assert image[24, 48].sum() > image[24, 16].sum() + 300  # bright where it is unsure
    assert np.ptp(image[24, 16]) < 5  # grey where it is sure
    assert window.cockpit.pixel(0.75, 0.5).startswith("road (3), 40% sure, then building (1) · ")
    assert window.cockpit.pixel(0.25, 0.5).startswith("road (3), 100% sure")
    assert window.strip.confidences.box.isVisible()
    assert window.strip._lines["confidence"].getData()[1].tolist() == pytest.approx([np.nan, 0.7], nan_ok=True)
    assert in_words(window.strip.moments[-1]).endswith(" · 70% sure")
    assert "70.0%" in [value.text() for value in window.panel.facts.findChildren(QLabel)]
    qtbot.keyClick(window, "w", Qt.KeyboardModifier.ShiftModifier)
    window.refresh()
    assert (player.now.settings.confidence, window.cockpit.view) == (False, View.OVERLAY)


def test_the_strip_rests_while_it_is_hidden(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "g")
    fill(window, player, ("first", True))
    assert window.strip.moments == ()


def test_the_seek_bar_goes_where_it_is_clicked_and_marks_key_frames(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    fill(window, player, *([("clock", False)] * 200), ("clock", True))
    bar = window.transport.bar
    assert np.flatnonzero(bar.keys).tolist() == [200]
    picture = bar.grab().toImage()
    marked = [x for x in range(picture.width()) if picture.pixelColor(x, 19).name() == window.theme.second]
    assert marked == [pytest.approx(6 + (bar.width() - 12) * 200 / 299, abs=1.5)]
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(bar.width() // 2, 10))
    assert player.calls[-1] == ("seek", pytest.approx(150, abs=1))
    assert window.transport.place.text() == "0:06.667 / 0:10 · #200"


def compared(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    """Road against car, masks alone."""
    qtbot.keyClicks(window, "xm")
    window.refresh()
    player.put(make_result(1), make_result(1, labels=np.full((12, 16), 8, np.uint8)))
    qtbot.waitUntil(lambda: window.video.image is not None, timeout=PATIENCE_MS)


def test_the_divider_stands_between_a_and_b_and_can_be_dragged(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    compared(qtbot, window, player)
    assert player.now.comparison is not None
    assert (player.now.comparison["schedule"], player.now.comparison["mode"]) == ("clockwork:4", "sync")

    def border() -> int:
        row = np.asarray(window.video.image)[24]
        return int((row == CAMVID["road"][::-1]).all(axis=1).sum())

    assert border() == 32
    where = window.video.picture_rect()
    at = QPoint(round(where.x() + where.width() * 0.25), round(where.center().y()))
    qtbot.mousePress(window.video, Qt.MouseButton.LeftButton, pos=at)
    assert border() == 16
    assert window.inspector.name == "compare"
    qtbot.keyClicks(window, "x")
    player.put(make_result(2))
    qtbot.waitUntil(lambda: border() == 64, timeout=PATIENCE_MS)
    assert window.video.divider is None


def test_a_comparison_with_other_classes_is_drawn_in_the_same_colours(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other")  # road, car, sky
    window.cockpit.set_comparison({"model": str(other.folder)})
    qtbot.keyClicks(window, "xm")
    player.put(make_result(1), make_result(1, labels=np.full((12, 16), other.card.classes.index("car"), np.uint8)))
    qtbot.waitUntil(lambda: window.video.image is not None, timeout=PATIENCE_MS)
    picture = np.asarray(window.video.image)
    assert picture[24, 5].tolist() == list(CAMVID["road"][::-1])
    assert picture[24, 60].tolist() == list(CAMVID["car"][::-1])


def test_the_difference_map_shows_where_they_differ(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    compared(qtbot, window, player)
    labels = np.full((12, 16), 3, np.uint8)
    labels[:, 12:] = 0
    player.put(make_result(2), make_result(2, labels=labels))
    qtbot.keyClicks(window, "d")
    qtbot.waitUntil(lambda: np.asarray(window.video.image)[24, 5].tolist() == [55, 55, 55], timeout=PATIENCE_MS)
    pink = np.asarray(window.video.image)[24, 60]
    assert np.abs(pink.astype(int) - np.array(DIFFERENT[::-1])).max() < 40
    assert window.video.divider is None


def test_the_comparisons_page_chooses_b_and_says_both_numbers(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "x")
    page = window.inspector.pages["compare"]
    assert isinstance(page, Compare)
    page.against.choose("schedule")
    window.refresh()
    assert player.now.comparison is not None
    assert player.now.comparison["schedule"] == "clockwork:4"
    page.schedule.slider.setValue(6)
    assert player.now.comparison["schedule"] == "clockwork:8"
    page.against.choose("bundle")
    other = str(player.now.comparison["model"])
    assert other in names()
    assert other != player.now.settings.model
    player.now = replace(
        player.now, differing=0.0125, numbers=Numbers(count=3, p50_ms=4.0, key_share=0.25), comparison_numbers=Numbers(count=3, p50_ms=9.5)
    )
    window.refresh()
    assert (page.table.cells["p50", 0].text(), page.table.cells["p50", 1].text()) == ("4.0", "9.5")
    assert page.table.cells["model", 1].text() == other
    assert page.differing.text() == "1.25%"
    assert page._line.getData()[1].tolist() == [0.0125]


def test_the_audit_is_plotted_by_age(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    qtbot.keyClicks(window, "u")
    assert player.now.auditing
    page = window.inspector.pages[window.inspector.name]
    assert isinstance(page, AuditPage)
    player.audited = (Agreement(0, 3, 1.0), Agreement(4, 1, 0.96))
    window.refresh()
    assert page._line.getData()[0].tolist() == [0, 4]
    assert page._line.getData()[1].tolist() == [1.0, 0.96]
    assert page.facts.values["Agreement"].text() == "99.00%"
    qtbot.keyClicks(window, "u")
    assert not player.now.auditing


def test_each_page_stands_under_its_title_and_its_number(qtbot: QtBot, window: MainWindow) -> None:
    inspector = window.inspector
    qtbot.keyClicks(window, "i")
    choice = inspector.choice
    titles = [choice.itemText(at).partition("  ")[::2] for at in range(choice.count())]
    assert [number for number, _ in titles] == [str(at) for at in range(1, len(PAGES) + 1)]
    for number, title in titles:
        for turn in (lambda at=int(number) - 1: choice.activated.emit(at), lambda key=number: qtbot.keyClicks(window, key)):
            inspector.open("compare" if number == "1" else "timings")
            turn()
            assert [type(page) for page in inspector.pages.values() if page.isVisible()] == [PAGES[title]], title


def test_timings_are_those_of_the_last_frames(window: MainWindow, player: FakePlayer) -> None:
    for index in range(10):
        latency = {"decode": 2.0, "low": 1.0 + index, "total": 5.0} | ({"high": 8.0} if index == 0 else {})
        player.put(replace(make_result(index), latency_ms=latency))
    window.show_page("timings")
    page = window.inspector.pages["timings"]
    assert isinstance(page, Timings)
    assert [(name, p50) for name, p50, _ in page.bars.rows] == [("decode", 2.0), ("low", 5.5), ("high (deep)", 8.0)]
    assert page.spread.text().startswith("p50 5.0 ms")
    picture = page.bars.grab().toImage()
    assert picture.pixelColor(90, 11).name() == window.theme.accent


def test_cache_and_source_pages(window: MainWindow, player: FakePlayer) -> None:
    fill(window, player, ("first", True), ("score", False), ("score", True), ("score", False))
    window.show_page("cache")
    page = window.inspector.pages["cache"]
    assert isinstance(page, CachePage)
    assert page.facts.values["Key frames"].text() == "2 of 4 · 50%"
    assert page.facts.values["Feature age"].text() == "1.0 mean · 2 max"
    assert "change, score" in page.reasons.text()
    window.show_page("source")
    source = window.inspector.pages["source"]
    assert isinstance(source, SourcePage)
    assert source.facts.values["Source"].text() == "drive.mp4"
    assert source.facts.values["Frame"].text() == "3 / 300"
    assert source._gap.getData()[1].tolist() == pytest.approx([1000 / 30] * 3)


def test_the_engines_page_reads_the_card(window: MainWindow) -> None:
    window.show_page("engine")
    page = window.inspector.pages["engine"]
    assert page.facts.values["Precision"].text() == "int8"  # type: ignore[attr-defined]
    assert "bicyclist" in page.about.values["Classes"].text()  # type: ignore[attr-defined]


def test_class_areas_follow_the_legend_and_are_saved(
    qtbot: QtBot, window: MainWindow, player: FakePlayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        player.put(make_result(index))
    window.show_page("areas")
    page = window.inspector.pages["areas"]
    assert isinstance(page, Areas)
    road = list(CAMVID).index("road")
    assert page.curves[road].getData()[1].tolist() == [1.0] * 4
    window.cockpit.toggle_class(road)
    window.refresh()
    assert not page.curves[road].isVisible()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "areas.csv"), ""))
    window.keys["csv"].trigger()
    qtbot.waitUntil((tmp_path / "areas.csv").exists, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "areas.csv" in window.bar.text.text(), timeout=PATIENCE_MS)
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text().splitlines()))
    assert [float(row["road"]) for row in rows] == [1.0] * 4


@pytest.mark.parametrize(
    ("text", "up"),
    [
        ("every-frame", None),
        ("clockwork:4", "clockwork:5"),
        ("clockwork:30", "clockwork:30"),
        ("clockwork:pipelined", None),
        ("clockwork:adaptive=0.1", "clockwork:adaptive=0.105"),
        ("keyframe:0.08,max_age=20", "keyframe:0.085,max_age=20"),
        ("budget:50fps", "budget:21ms"),
        ("clockwork:1,2,4", None),
        ("sometimes", None),
    ],
)
def test_a_schedules_number_is_moved(text: str, up: str | None) -> None:
    assert nudged(text, 1) == up


def test_schedules_that_a_network_cannot_be_run_by_are_greyed_with_the_reason(qtbot: QtBot) -> None:
    box, card = ScheduleBox(), load_bundle("camvid").card
    qtbot.addWidget(box)

    def barred(card: Card | None) -> set[str]:
        box.show_schedule("clockwork:4", "net.onnx", card)
        model = box.kind.model()
        assert isinstance(model, QStandardItemModel)
        items = {box.kind.itemData(at): model.item(at) for at in range(box.kind.count())}
        assert list(items) == list(KINDS)
        found = {name for name, item in items.items() if item and not item.isEnabled()}
        assert {name for name, item in items.items() if item and "net.onnx" in item.toolTip()} == found
        return found

    assert barred(card.model_copy(update={"stages": {**card.stages, "mid": card.stages["high"]}})) == set()
    assert barred(card) == {"clockwork by stage"}
    assert barred(card.model_copy(update={"score": None})) == barred(None) == {"clockwork by stage", "keyframe"}
    for text, shown, slides in (
        ("clockwork:1,3,6", "clockwork:1,3,6", False),
        ("budget:50fps", "budget", True),
        ("every-frame",) * 2 + (False,),
    ):
        box.show_schedule(text, "camvid", card)
        assert (box.kind.currentData(), not box.slider.isHidden()) == (shown, slides)


def test_key_frames_are_marked_where_they_are_and_nothing_elsewhere() -> None:
    keys = np.zeros(1001, np.bool_)
    keys[[0, 500, 1000]] = True
    marks = key_marks(keys, 101, QColor("#123456"))
    assert (marks.width(), marks.height()) == (101, 1)
    assert [x for x in range(101) if marks.pixelColor(x, 0).alpha()] == [0, 50, 100]
    assert marks.pixelColor(50, 0).name() == "#123456"


def test_what_is_around_the_picture_comes_up_to_date_in_turns(window: MainWindow, player: FakePlayer) -> None:
    window._tick.stop()
    window._next = 0
    player.put(decided(5, "first", key=True))
    shown: list[bool] = []
    for _ in range(len(window._around)):
        window._refresh_next()
        shown.append("#5" in window.transport.place.text())
    assert len(window.strip.moments) == 1
    assert shown == [False] * 4 + [True]

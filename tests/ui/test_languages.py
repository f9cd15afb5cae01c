"""German: that it is shown, and that no text of the window lacks it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PyQt6.QtCore import QCoreApplication
from PyQt6.QtWidgets import QLabel, QScrollArea
from pytestqt.qtbot import QtBot

from drive_seg.backends import BACKENDS
from drive_seg.contracts import Decision, Phrase, View
from drive_seg.network.postprocess import KINDS as BORDERS
from drive_seg.network.propagate import KINDS as PROPAGATIONS
from drive_seg.network.schedule import CHANGED, SCORE, EveryFrame, parse_schedule
from drive_seg.network.schedule import KINDS as SCHEDULES
from drive_seg.ui.actions import ACTIONS, MENUS
from drive_seg.ui.catalogue import FOLDER, Catalogue, catalogue_for
from drive_seg.ui.keys import KeyList
from drive_seg.ui.pages.inspector import NAMES, PAGES
from drive_seg.ui.presets import PRESETS
from drive_seg.ui.strip import in_words
from drive_seg.ui.widgets import Elided
from drive_seg.ui.window import MainWindow
from tests.fakes import make_result
from tests.ui.fakes import INFO, FakePlayer, Opened
from tests.waiting import PATIENCE_MS

LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.ts"))


class Texts(ast.NodeVisitor):
    """What a module translates: `self.tr(text)` by its class, `translate(context, text)`."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()
        self._inside = [""]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_Call(self, node: ast.Call) -> None:
        texts = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "tr":
            self.found |= {(self._inside[-1], text) for text in texts}
        elif isinstance(node.func, ast.Name) and node.func.id == "Phrase":  # the way a frame's decision is told
            self.found |= {("ui", text) for text in texts}
        elif isinstance(node.func, ast.Name) and node.func.id == "translate" and len(texts) == 2:
            self.found.add((texts[0], texts[1]))
        self.generic_visit(node)


def asked_for() -> set[tuple[str, str]]:
    """All that the window can ask for: what stands in its modules, and what it shows of the tables."""
    reader = Texts()
    for path in (*FOLDER.rglob("*.py"), *(FOLDER.parent / "network").glob("*.py")):
        reader.visit(ast.parse(path.read_text(encoding="utf-8")))
    sliders = {kind.slider.says for kind in SCHEDULES.values() if kind.slider}
    explained = {one.help for table in (BACKENDS, BORDERS, PROPAGATIONS) for one in table.values()} | {
        kind.help for kind in SCHEDULES.values()
    }
    explained |= {preset.title for preset in PRESETS.values()}
    actions = {text for entry in ACTIONS for text in (entry.text, entry.tip)} | set(MENUS.values()) | {title for title, _ in PAGES.values()}
    return (
        reader.found
        | {("ui", CHANGED), ("ui", SCORE)}
        | {("ui", text) for text in sliders | explained | {kind.title for kind in SCHEDULES.values()}}
        | {("actions", text) for text in actions | {"Play", "Play again", "End of the part: B", "Forget the part from A to B"}}
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_its_translation_with_the_same_places_for_values(language: str) -> None:
    texts = Catalogue(FOLDER / f"{language}.ts").texts
    asked = asked_for()
    assert len(asked) > 250
    assert sorted(asked - texts.keys()) == []
    assert sorted(texts.keys() - asked) == []  # nor one for what is not there any more
    for (_, english), translated in texts.items():
        assert sorted(re.findall(r"\{[^}]*\}", english)) == sorted(re.findall(r"\{[^}]*\}", translated))


@pytest.fixture
def german(qapp: object) -> Iterator[None]:
    words = catalogue_for(["fr-FR", "de-AT", "en-GB"])
    assert words is not None
    QCoreApplication.installTranslator(words)
    yield
    QCoreApplication.removeTranslator(words)


@pytest.mark.usefixtures("german")
def test_the_window_is_shown_in_german(opened: Opened) -> None:
    player = FakePlayer()
    player.put()
    window = opened(player)
    window.show()
    window.toggle_help()
    said = {label.text() for label in window.findChildren(QLabel)}
    assert {"Modell", "Backend", "Deckkraft", "Bilder / s"} <= said
    assert window.keys["record"].text() == "Aufnehmen"
    assert window.parts.state.text() == "● spielt"
    for area in window.panel.findChildren(QScrollArea):
        inside, viewport = area.widget(), area.viewport()
        assert inside is not None
        assert viewport is not None
        assert inside.width() <= viewport.width()  # nothing of the longer words is cut off at the right
    assert "Videodatei öffnen" in window.findChildren(KeyList)[0].text.text()


@pytest.mark.parametrize("language", ["", "german"])
@pytest.mark.parametrize("size", [(1420, 820), (800, 600)])
def test_all_keys_are_seen_without_scrolling(
    qtbot: QtBot, opened: Opened, request: pytest.FixtureRequest, language: str, size: tuple[int, int]
) -> None:
    if language:
        request.getfixturevalue(language)
    window = opened(FakePlayer())
    window.resize(*size)
    window.show()
    qtbot.waitUntil(lambda: (window.width(), window.height()) == size, timeout=PATIENCE_MS)
    window.toggle_help()
    keys = window.parts.keys
    (area,) = keys.findChildren(QScrollArea)
    bar, seen = area.verticalScrollBar(), area.viewport()
    assert bar is not None
    assert seen is not None
    qtbot.waitUntil(lambda: bar.maximum() == 0 and keys.text.sizeHint().width() <= seen.width(), timeout=PATIENCE_MS)
    assert window.rect().contains(keys.geometry())
    assert "1 – 8" in keys.text.text()


LONG = "a_drive_with_a_name_that_is_long?size=480x270&frames=900/andaword" + "withoutanyplace" * 5


def cut_off(window: MainWindow) -> dict[str, tuple[int, int]]:
    """Columns wider than what is seen of them, with both widths."""
    widths = {
        type(area.widget()).__name__: (area.widget(), area.viewport()) for area in window.findChildren(QScrollArea) if area.isVisible()
    }
    return {
        name: (inside.width(), seen.width()) for name, (inside, seen) in widths.items() if inside and seen and inside.width() > seen.width()
    }


@pytest.mark.parametrize("language", ["", "german"])
@pytest.mark.parametrize("size", [(1000, 700), (800, 600)])
def test_no_page_and_no_control_is_cut_off_at_the_right(
    qtbot: QtBot, opened: Opened, request: pytest.FixtureRequest, language: str, size: tuple[int, int]
) -> None:
    if language:
        request.getfixturevalue(language)
    player = FakePlayer(replace(INFO, name=LONG))
    player.put()
    window = opened(player)
    window.resize(*size)
    window.show()
    for name in NAMES:
        window.show_page(name)
        window.refresh()
        qtbot.waitUntil(lambda: cut_off(window) == {}, timeout=PATIENCE_MS)  # a layout takes a turn of Qt's
        assert (window.width(), window.height()) == size
        assert window.video.width() >= window.video.minimumWidth()


@pytest.mark.usefixtures("german")
def test_a_figure_without_room_is_cut_at_its_end_and_whole_in_its_tip(opened: Opened) -> None:
    player = FakePlayer()
    player.put(make_result(123456))
    window = opened(player)
    window.resize(800, 600)
    window.show()
    window._show_newest()
    window.refresh()
    frame = window.panel.facts.values["Dieses Bild"]
    assert isinstance(frame, Elided)
    assert frame.text().startswith("#123456 · ")
    assert frame.toolTip() == frame.text()


@pytest.mark.usefixtures("german")
def test_why_a_frame_was_refreshed_is_said_in_german(opened: Opened, qtbot: QtBot) -> None:
    def view(changed: float, age: int) -> View:
        return View(9, age, None, changed, 5.0, 5.0, 1.0, age)

    player, adaptive = FakePlayer(), parse_schedule("clockwork:adaptive=0.1,max_age=30")
    under_way = Phrase("a refresh is under way, {0}", Phrase("age {0} of {1}", 30, 30))
    told = {
        "geändert 0.250 von 0.100": adaptive.decide(view(0.25, 1)),
        "Alter 30 von 30": adaptive.decide(view(0.0, 30)),
        "jedes Bild": EveryFrame().decide(view(0.0, 1)),
        "wird schon erneuert, Alter 30 von 30": Decision(False, "busy", under_way),
        "as it was recorded": Decision(False, "replay", "as it was recorded"),
    }
    window = opened(player)
    window.show()
    window.show_page("cache")
    for text, decision in told.items():
        player.put(replace(make_result(), decision=decision))
        window._due_s = float("-inf")
        window._show_newest()
        window.refresh()
        assert window.panel.facts.values["Entscheidung"].text() == text
        assert text in {label.text() for label in window.inspector.findChildren(QLabel)}
        assert text in in_words(player.history(1)[0])


def test_english_stays_where_it_is_wanted_or_nothing_else_is_there() -> None:
    assert catalogue_for(["en-GB", "de-DE"]) is None
    assert catalogue_for(["xx"]) is None
    assert catalogue_for([]) is None

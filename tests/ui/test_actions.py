"""The table of actions, and that nothing is shown that could not be translated."""

import re
from collections import Counter
from html import escape
from pathlib import Path

from PyQt6.QtCore import QCoreApplication, QTranslator
from PyQt6.QtWidgets import QAbstractButton, QComboBox, QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from drive_seg.backends import BACKENDS
from drive_seg.contracts import TIMED
from drive_seg.network.card import names
from drive_seg.ui.actions import ACTIONS, MENUS, keys_text
from drive_seg.ui.window import MainWindow
from tests.fakes import CAMVID
from tests.ui.fakes import FakePlayer, Opened
from tests.waiting import PATIENCE_MS


def test_no_name_and_no_key_twice_and_everything_explained() -> None:
    assert max(Counter(entry.name for entry in ACTIONS).values()) == 1
    assert max(Counter(key for entry in ACTIONS for key in entry.keys).values()) == 1
    assert all(entry.text and entry.tip and entry.menu in MENUS for entry in ACTIONS)


def test_menus_tooltips_and_the_list_of_keys_come_from_it(qtbot: QtBot, window: MainWindow) -> None:
    bar = window.menuBar()
    assert bar is not None
    listed = [action.text() for menu in bar.findChildren(QMenu) for action in menu.actions()]
    qtbot.keyClicks(window, "?")
    assert window.parts.keys.isVisible()
    said = window.parts.keys.text.text()
    for entry in ACTIONS:
        assert entry.text in listed
        if entry.keys:
            assert keys_text(entry) in window.keys[entry.name].toolTip()
            if not entry.name.startswith("page-"):  # which have one line together
                assert f">{escape(entry.text.removesuffix(' …'))}</td>" in said
                assert f"<b>{escape(keys_text(entry))}</b>" in said
    qtbot.keyClicks(window, "?")
    assert not window.parts.keys.isVisible()


def test_the_list_of_keys_fits_into_a_small_window(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(800, 600)
    qtbot.keyClicks(window, "?")
    assert window.rect().contains(window.parts.keys.geometry())
    window.resize(640, 420)
    qtbot.waitUntil(lambda: window.rect().contains(window.parts.keys.geometry()), timeout=PATIENCE_MS)
    qtbot.keyClick(window, "\x1b")
    assert not window.parts.keys.isVisible()


class Marked(QTranslator):
    """Puts every text that can be translated into brackets."""

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:  # type: ignore[override]
        return f"⟦{text}⟧"

    def isEmpty(self) -> bool:
        return False


def texts(widget: QWidget) -> list[str]:
    found = [part.text() for part in widget.findChildren(QLabel)] + [part.text() for part in widget.findChildren(QAbstractButton)]
    found += [box.itemText(at) for box in widget.findChildren(QComboBox) for at in range(box.count())]
    found += [part.toolTip() for part in widget.findChildren(QWidget)]
    return [re.sub(r"<[^>]*>", "", text) for text in found]


def test_every_word_can_be_translated(opened: Opened) -> None:
    translator = Marked()
    QCoreApplication.installTranslator(translator)
    try:
        player = FakePlayer(schedule="keyframe:0.08")
        player.put()
        window = opened(player)
        window.show()
        for name in window.inspector.pages:
            window.show_page(name)
            window.refresh()
        window.toggle_help()
        window.resize(1420, 820)
        foreign = {
            *CAMVID,
            *names(),
            *BACKENDS,
            *TIMED,
            *player.now.runs.values(),
            "drive.mp4",
            "hold",
            "flow",
            "netwarp",
            "attend",
            "recurrent",
            "none",
            "edges",
            "smooth",
        }
        untold = set()
        for text in texts(window):
            plain = re.sub(r"⟦.*⟧|&nbsp;|[⚠●■]", "", text, flags=re.DOTALL)
            words = re.findall(r"[A-Za-z]{3,}", plain)
            if words and plain.strip() not in foreign and "⟦" not in text:
                untold.add(text)
        keys = {keys_text(entry) for entry in ACTIONS}  # Qt's own
        card = {value.text() for value in window.inspector.pages["engine"].about.values.values()}  # type: ignore[attr-defined]
        about = {player.now.headline, "   ·   ".join(("drive.mp4", player.now.headline)), "age 0 of 4"}
        untold = {text for text in untold if not text.startswith("■&nbsp;sky")}  # the classes' names
        assert untold - keys - card - about == set()
    finally:
        QCoreApplication.removeTranslator(translator)


def test_the_guide_lists_every_key() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "window.md").read_text(encoding="utf-8")
    for entry in ACTIONS:
        if entry.keys:
            assert f"| `{keys_text(entry)}` | {entry.text.removesuffix(' …')} | {entry.tip} |" in guide

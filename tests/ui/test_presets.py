"""The box for newcomers: what it sets for each bundle, and that it says so."""

from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from pytestqt.qtbot import QtBot

from drive_seg.network.card import Card, load_bundle, names
from drive_seg.network.propagate import FOR_ALL
from drive_seg.network.schedule import lacks, parse_schedule
from drive_seg.settings import DEFAULT_MODEL, Settings
from drive_seg.ui import presets
from drive_seg.ui.window import MainWindow
from tests.fakes import make_bundle
from tests.ui.fakes import FakePlayer


def the_card(name: str) -> Card:
    return load_bundle(name).card


@pytest.mark.parametrize("model", [*names(), None])
def test_every_preset_runs_every_bundle_and_each_is_another(model: str | None) -> None:
    card = the_card(model) if model else None
    of = presets.choices(model or "net.onnx", card)
    assert list(of) == list(presets.PRESETS)
    for chosen in of.values():
        Settings.load(None, chosen)
        schedule = parse_schedule(chosen["schedule"])
        assert not lacks(schedule, "it", bool(card and card.score), len(card.cached) if card else 1)
        assert chosen["propagation"] in (card.propagations if card else FOR_ALL)
    assert len({tuple(chosen.values()) for chosen in of.values()}) == len(of)


def test_what_a_bundle_has_is_used() -> None:
    scored, plain = presets.choices("camvid", the_card("camvid"))["balanced"], presets.choices("net.onnx", None)["balanced"]
    assert scored == {"schedule": "keyframe:0.08", "mode": "sync", "propagation": "netwarp"}
    assert plain == {"schedule": "clockwork:2", "mode": "sync", "propagation": "flow"}


def offered(window: MainWindow) -> list[str]:
    box = window.panel.preset
    return [box.itemData(at) for at in range(box.count())]


def test_choosing_sets_all_three_and_moving_one_is_custom(qtbot: QtBot, window: MainWindow, player: FakePlayer) -> None:
    box = window.panel.preset
    assert box.currentData() == "accurate"  # the default run
    assert offered(window) == list(presets.PRESETS)
    for name, chosen in presets.choices(DEFAULT_MODEL, the_card(DEFAULT_MODEL)).items():
        box.setFocus(Qt.FocusReason.TabFocusReason)
        qtbot.keyClick(box, Qt.Key.Key_Home)
        for _ in range(list(presets.PRESETS).index(name)):
            qtbot.keyClick(box, Qt.Key.Key_Down)
        window.refresh()
        assert {key: getattr(player.now.settings, key) for key in chosen} == chosen
        assert box.currentData() == name
        assert " · ".join(f"--{key} {value}" for key, value in chosen.items()) in box.toolTip()
    window.panel.schedule.slider.setValue(3)
    window.refresh()
    assert (box.currentData(), box.currentText()) == (presets.CUSTOM, "custom")
    before = player.now.settings
    box.choose(presets.CUSTOM)
    assert player.now.settings == before
    box.choose("accurate")
    window.refresh()
    assert offered(window) == list(presets.PRESETS)


def test_another_bundle_brings_what_it_can(window: MainWindow, player: FakePlayer, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "other")
    player.change(model=str(bundle.folder))
    window.refresh()
    window.panel.preset.choose("balanced")
    window.refresh()
    chosen = presets.choices("other", bundle.card)["balanced"]
    assert {key: getattr(player.now.settings, key) for key in chosen} == chosen
    assert window.panel.preset.currentData() == "balanced"
    assert f"--schedule {chosen['schedule']}" in window.panel.preset.toolTip()


def test_the_guide_says_what_they_set() -> None:
    rows = [line for line in (Path(__file__).parents[2] / "docs" / "window.md").read_text().splitlines() if line.startswith("| ")]
    for preset in presets.PRESETS.values():
        (row,) = (row for row in rows if row.startswith(f"| {preset.title} |"))
        assert all(f"`{said}`" in row for said in (*preset.schedules, preset.mode))

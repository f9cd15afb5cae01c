"""What is measured goes into the card, and the page tells what the card tells."""

import json
from pathlib import Path

import pytest

from drive_seg import cli
from drive_seg.lab.build.modelcard import render
from drive_seg.network.card import load_bundle
from tests.lab.conftest import Tiny


def test_an_evaluation_is_recorded_in_the_card_and_on_the_page(tiny: Tiny, tmp_path: Path) -> None:
    before, street = tiny.copy(tmp_path / "tiny"), tiny.street
    assert "Not yet." in render(before.card)
    with pytest.raises(SystemExit) as end:
        cli.main(
            f"evaluate --model {tmp_path / 'tiny'} --images {street / 'images'} --labels {street / 'labels'}"
            f" --json {tmp_path / 'scores.json'} --record street".split()
        )
    assert not end.value.code
    after, scores = load_bundle(str(tmp_path / "tiny")), json.loads((tmp_path / "scores.json").read_text())
    assert after.card.measured["street"]["miou"] == pytest.approx(scores["miou"], abs=1e-4)
    assert after.card.model_copy(update={"measured": {}}) == before.card.model_copy(update={"measured": {}})
    page = (tmp_path / "tiny" / "README.md").read_text()
    assert f"**{scores['miou']:.3f}**" in page
    assert all(f"| {name} | {iou:.3f} |" in page for name, iou in scores["iou"].items())
    for said in (after.card.licence, after.card.limits, scores["command"]):
        assert said in page


def test_corruptions_have_a_table_of_their_own(tiny: Tiny) -> None:
    worn = {"corruptions": {"clean": 0.5, "mean": 0.4, "ratio": 0.8, "miou": {"fog": [0.45, 0.4, None]}}}
    page = render(tiny.bundle.card.model_copy(update={"measured": {"worn": worn}}))
    assert "mean mIoU 0.400, 80.0% of the clean 0.500" in page
    assert "| fog | 0.450 | 0.400 | – |" in page
    assert "**mIoU**" not in page


def test_a_network_without_a_card_is_not_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate --model net.onnx --class-names names.txt --source demo: --record x"
    with pytest.raises(SystemExit) as end:
        cli.main(command.split())
    assert end.value.code == 2
    assert "--record x" in capsys.readouterr().err

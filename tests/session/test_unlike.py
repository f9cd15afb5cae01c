"""A drive is called unlike after seconds of little confidence, in one line, and no longer once the network is surer again."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drive_seg.contracts import Confidence, Result
from drive_seg.network.card import CARD, shipped
from drive_seg.session.unlike import Unlike
from tests.cli.test_cli import call
from tests.fakes import make_bundle, make_result

HZ = 10


def told(index: int, share: float | None, segment: int = 0, hz: float = HZ) -> Result:
    made = make_result(index)
    frame = replace(made.frame, time_s=index / hz, segment=segment)
    steps = None if share is None else Confidence(np.full((12, 16), round(255 * share), np.uint8), np.zeros((12, 16), np.uint8))
    return replace(made, frame=frame, confidence=steps)


def means(watch: Unlike, results: Iterable[Result]) -> list[float | None]:
    found = []
    for result in results:
        watch.on_result(result, None)
        found.append(watch.mean)
    return found


def test_three_unsure_seconds_are_needed_and_single_frames_do_not_count() -> None:
    said: list[str] = []
    watch = Unlike(0.9, said.append)
    sure = means(watch, (told(at, 0.3 if at % 20 == 5 else 0.96) for at in range(60)))
    assert set(sure) == {None}
    unsure = means(watch, (told(at, 0.8) for at in range(60, 100)))
    began = next(at for at, mean in enumerate(unsure) if mean is not None)
    assert 5 < began < 25
    assert unsure[-1] == pytest.approx(0.8, abs=0.01)
    assert None not in unsure[began:]
    (line,) = said
    assert line.startswith(f"frame {60 + began}: this drive is unlike what the network learned: it is 8")
    assert line.endswith("sure of its labels, on what it learned 90.0% and more")


def test_it_ends_where_the_network_is_clearly_surer_and_at_a_jump() -> None:
    watch = Unlike(0.9)
    assert means(watch, (told(at, 0.895) for at in range(40)))[-1] is not None
    assert means(watch, (told(at, 0.905) for at in range(40, 80)))[-1] is not None
    assert means(watch, (told(at, 0.925) for at in range(80, 120)))[-1] is None
    assert means(watch, (told(at, 0.8) for at in range(120, 160)))[-1] is not None
    assert means(watch, [told(0, 0.8)])[-1] is None  # back to the beginning
    again = means(watch, (told(at, 0.8, segment=1) for at in range(200, 232)))
    assert [mean is None for mean in again] == [True] * 30 + [False] * 2


def test_nothing_is_said_of_few_frames_without_a_threshold_or_without_confidence() -> None:
    assert set(means(Unlike(0.9), (told(at, 0.5, hz=0.5) for at in range(50)))) == {None}  # one in two seconds: no drive
    assert set(means(Unlike(None), (told(at, 0.5) for at in range(50)))) == {None}
    assert set(means(Unlike(0.9), (told(at, None) for at in range(50)))) == {None}


def test_a_card_may_say_its_threshold(tmp_path: Path) -> None:
    assert make_bundle(tmp_path / "net").card.sure is None
    assert make_bundle(tmp_path / "net", sure=0.9).card.sure == 0.9


def test_a_run_without_a_window_says_it_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, net = shipped() / "camvid", tmp_path / "net"
    net.mkdir()
    for path in folder.glob("*.onnx"):
        (net / path.name).symlink_to(path)
    (net / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"sure": 0.999}))
    run = ("run", "--headless", "--source", "demo:?size=80x64&fps=2&frames=12", "--model", str(net), "--input-size", "80x64")
    code, _, err = call(capsys, *run, "--threads", "1", "--precision", "int8", "--confidence", "--json", str(tmp_path / "figures.json"))
    assert code == 0, err
    (line,) = (line for line in err.splitlines() if "unlike" in line)
    assert line.startswith("frame 6: this drive is unlike what the network learned: it is ")
    assert 0.2 < json.loads((tmp_path / "figures.json").read_text())["confidence"] < 0.999
    code, _, err = call(capsys, *run, "--threads", "1", "--precision", "int8")
    assert (code, "unlike" in err) == (0, False)

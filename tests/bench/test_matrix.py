"""Configurations in turns: what is measured in which order, what the reports say, and a whole matrix on the committed bundle."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drive_seg import cli
from drive_seg.bench.blocks import check_blocks, fill_block, replaced
from drive_seg.bench.matrix import Combination, Matrix, accuracy, multiplied, order, read_matrix, run_matrix, why_it_ended
from drive_seg.bench.report import as_html, as_markdown, block, columns, short_block
from drive_seg.errors import BackendError, UsageError
from drive_seg.settings import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
RAN = {
    "machine": {"cpu": "Test CPU", "cores": 2, "threads": 2, "memory_gib": 8.0, "kernel": "Linux 6", "gpu": None},
    "versions": {"python": "3.11", "drive-seg": "0.1.0"}, "date": "2026-01-01T12:00:00+00:00", "command": "drive-seg bench --matrix m.toml",
}  # fmt: skip


def turn(ms: float, frames: int = 40, notes: tuple[str, ...] = (), schedule: str = "every-frame") -> dict[str, Any]:
    """What a benchmark of `frames` frames wrote, every fourth of them a key frame that takes twice as long."""
    kinds = ["key" if i % 4 == 0 else "other" for i in range(frames)]
    totals = [ms * (2 if kind == "key" else 1) for kind in kinds]
    return {
        "model": "camvid", "backend": "openvino", "precision": "int8", "device": "CPU", "schedule": schedule, "mode": "sync",
        "propagation": "hold", "frames": frames, "seconds": frames * ms / 1e3, "key_frame_rate": 0.25, "dropped": 0,
        "latency_ms": {"total": {"p50": ms, "p99": 2 * ms}}, "memory_mib": 100.0 + ms, "cpu": {"cores": 1.5},
        "deadline": {"ms": 33.3, "by": "frame to labels", "missed": 4, "due": frames, "share": 4 / frames},
        "energy": {"joules": {"CPU package-0": frames * 0.5}, "not_measured": {"GPU": "no driver"}}, "notes": list(notes),
        "source": {"name": "clip", "width": 64, "height": 48, "paced": False, "round_frames": 20, "rounds": 2, "whole": True},
        "per_frame": {"total_ms": totals, "labels_ms": totals, "kind": kinds, "at_s": [0.01 * i for i in range(frames)]},
    }  # fmt: skip


def matrix(*flags: Mapping[str, Any], rounds: int = 3) -> Matrix:
    made = [Combination({"source": "no-such-clip", **one}, f"row {i}") for i, one in enumerate(flags)]
    return Matrix("table", "A table", tuple(made), rounds)


def measured(**changes: Any) -> dict[str, Any]:
    ms = {"every-frame": 10.0, "clockwork:4": 5.0}
    both = matrix({"schedule": "every-frame"}, {"schedule": "clockwork:4"})
    return {**run_matrix(both, lambda flags: turn(ms[flags["schedule"]]), lambda line: None), **RAN, **changes}


def test_repeated_values_are_multiplied_and_named_by_what_differs() -> None:
    made = multiplied(
        {"source": "demo:", "model": ["camvid", "nets/enet.onnx"], "schedule": ["every-frame", "clockwork:4"], "class_names": "n"}
    )
    assert [one.name for one in made] == ["camvid, every-frame", "camvid, clockwork:4", "enet, every-frame", "enet, clockwork:4"]
    assert "class_names" not in made[0].flags  # only a network without a card is told its classes
    assert made[3].command == [
        "drive-seg", "bench", "--source", "demo:", "--model", "nets/enet.onnx", "--schedule", "clockwork:4", "--class-names", "n",
    ]  # fmt: skip
    assert [one.name for one in multiplied({})] == [DEFAULT_MODEL]


def test_a_matrix_file_is_a_base_and_what_is_combined_with_it(tmp_path: Path) -> None:
    path = tmp_path / "peers.toml"
    path.write_text(
        'title = "Peers"\nrounds = 2\nsource = "demo:"\ndeadline = "30fps"\nrefine = true\nthreads = 2\n'
        '[[combination]]\nmodel = "camvid"\nschedule = ["every-frame", "clockwork:4"]\n'
        '[[combination]]\nmodel = "enet.onnx"\nclass-names = "names.txt"\n'
    )
    found = read_matrix(path, {"threads": 1})
    assert (found.name, found.title, found.rounds) == ("peers", "Peers", 2)
    assert [one.flags["threads"] for one in found.combinations] == [1, 1, 1]
    assert found.combinations[2].flags["class_names"] == "names.txt"
    assert "--refine" in found.combinations[0].command


@pytest.mark.parametrize(
    ("text", "said"),
    [("rounds = 0", "rounds"), ("colour = 3", "colour: no such key"), ("title =", "not valid TOML"), ('deadline = "soon"', "30fps")],
)
def test_a_matrix_that_cannot_be_meant_is_refused_before_anything_runs(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        read_matrix(tmp_path / "m.toml", {})


def test_turns_are_interleaved_and_another_one_comes_first_in_each_round() -> None:
    assert [order(3, turn) for turn in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
    seen: list[str] = []

    def measure(flags: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(flags["schedule"])
        assert (flags["min_frames"], flags["min_time"]) == (334, pytest.approx(10 / 3))
        return turn(5.0)

    run_matrix(matrix({"schedule": "a"}, {"schedule": "b"}), measure, lambda line: None)
    assert "".join(seen) == "abbaab"


def test_what_cannot_run_is_listed_with_its_reason_and_not_tried_again() -> None:
    tried: list[str] = []

    def measure(flags: Mapping[str, Any]) -> dict[str, Any]:
        tried.append(flags["backend"])
        if flags["backend"] == "tensorrt":
            raise BackendError("no NVIDIA driver")
        return turn(5.0)

    result = run_matrix(matrix({"backend": "tensorrt"}, {"backend": "openvino"}), measure, lambda line: None)
    assert tried.count("tensorrt") == 1
    assert [row["name"] for row in result["rows"]] == ["row 1"]
    (gone,) = result["cannot_run"]
    assert (gone["name"], gone["reason"]) == ("row 0", "no NVIDIA driver")
    assert "- row 0: no NVIDIA driver" in block({**result, **RAN})


def test_a_rows_figures_are_those_of_all_its_turns() -> None:
    turns = iter([turn(10.0, 40, ("unstable: x",)), turn(20.0, 40), turn(30.0, 20)])
    row = run_matrix(matrix({}), lambda flags: next(turns), lambda line: None)["rows"][0]
    assert (row["frames"], row["fps"]) == (100, pytest.approx(100 / 1.8))
    assert row["latency_ms"]["max"] == 60.0
    assert row["total_ms"]["other"]["frames"] == 75
    assert row["p50_by_round"] == [10.0, 20.0, 30.0]
    assert row["memory_mib"] == 130.0
    assert row["joules_per_frame"] == {"CPU package-0": 0.5}
    assert (row["deadline"]["missed"], row["deadline"]["share"]) == (12, 0.12)
    assert row["notes"] == ["round 1: unstable: x", "unstable: the medians of the rounds were 10.00, 20.00, 30.00 ms"]
    assert (row["miou"], "no-such-clip" in row["no_miou"]) == (None, True)


def test_the_table_has_the_columns_that_somebody_has_something_in() -> None:
    table = columns(measured())
    assert table[""] == ["row 0", "row 1"]
    assert table["p50"] == ["10.00", "5.00"]
    assert table["late for 33.3 ms"] == ["10.00%", "10.00%"]
    assert table["p50 to the first row's"][1].startswith("0.50 (0.50")
    assert "mIoU" not in table
    assert "p99.9" not in table  # of 120 frames


def test_the_block_says_where_when_and_how() -> None:
    said = block(measured())
    for needed in (
        "Test CPU",
        "2026-01-01",
        "drive-seg 0.1.0",
        "    drive-seg bench --matrix m.toml",
        "120 frames a row in 3 rounds",
        "64x48",
    ):
        assert needed in said
    widths = {line.count("|") for line in said.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    markdown = as_markdown(measured())
    assert "`drive-seg bench --source no-such-clip --schedule clockwork:4`" in markdown
    assert "Energy of the GPU was not measured: no driver." in markdown


def test_the_short_block_has_four_columns_and_says_once_that_it_was_noisy() -> None:
    quiet = short_block(measured())
    table = [line for line in quiet.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in table] == [5] * 4
    assert table[0] == "|  | p50, ms | p99, ms | mIoU |"
    assert table[3].startswith("| row 1 | 5.0 | ")
    assert "Test CPU, 2026-01-01." in quiet
    assert "noisy" not in quiet
    noisy = measured()
    for row in noisy["rows"]:
        row["notes"] = ["round 2: unstable: x"]
    assert short_block(noisy).count("noisy") == 1
    assert "Nothing" in short_block(measured(rows=[]))


def test_a_matrix_of_which_nothing_ran_has_a_page_too() -> None:
    empty = measured(rows=[], cannot_run=[{"name": "row 0", "command": "c", "reason": "no <such> thing"}])
    assert "no &lt;such&gt; thing" in as_html(empty)
    assert "no <such> thing" in as_markdown(empty)


def test_the_page_needs_nothing_beside_it() -> None:
    page = as_html(measured())
    assert page.count('src="data:image/png;base64,') == 2
    assert not re.search(r"https?://", page)
    with_accuracy = measured()
    with_accuracy["rows"][0] |= {"miou": 0.7, "no_miou": ""}
    assert "Accuracy against latency" in as_html(with_accuracy)


def test_a_process_that_failed_is_told_in_its_own_words() -> None:
    assert why_it_ended(2, "demo: · camvid\ndrive-seg: --mode x: no such\n") == "--mode x: no such"
    assert why_it_ended(-11, "") == "was ended by SIGSEGV"
    assert why_it_ended(1, "") == "ended with 1"


def test_accuracy_needs_a_truth_with_an_end() -> None:
    with pytest.raises(UsageError, match="has no end"):
        accuracy(Combination({"source": "demo:"}))
    assert accuracy(Combination({"source": "demo:?size=240x180&frames=2", "threads": 1})) > 0.5


def test_a_block_is_replaced_and_everything_else_is_left(tmp_path: Path) -> None:
    text = "before\n<!-- bench:one -->\nold\n<!-- /bench -->\nbetween\n<!-- bench:two -->\nkept\n<!-- /bench -->\nafter\n"
    assert replaced(text, "one", "new") == text.replace("old", "new")
    assert replaced(text, "three", "new") is None
    first, second = tmp_path / "a.md", tmp_path / "b.md"
    first.write_text(text)
    second.write_text("nothing here\n")
    assert fill_block([second, first], "two", "| a |\n") == [first]
    assert first.read_text() == text.replace("kept", "| a |")
    assert second.read_text() == "nothing here\n"
    check_blocks([second, first], "one")
    with pytest.raises(UsageError, match="bench:three"):
        check_blocks([first, second], "three")
    with pytest.raises(UsageError, match=r"no\.md"):
        check_blocks([tmp_path / "no.md"], "one")


def test_a_matrix_on_the_committed_bundle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Longer than two seconds: each of its turns is a process that loads a network."""
    document = tmp_path / "doc.md"
    document.write_text("# Doc\n<!-- bench:small -->\nnot yet\n<!-- /bench -->\n")
    (tmp_path / "small.toml").write_text(
        'title = "Two schedules"\nrounds = 1\nsource = "demo:?size=128x96&frames=5"\nthreads = 1\nwarmup = 2\nmin_frames = 8\n'
        'min_time = 0\ndeadline = "30fps"\nschedule = ["every-frame", "clockwork:3"]\n'
    )
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "--matrix", str(tmp_path / "small.toml"), "--out", str(tmp_path / "out"), "--into", str(document)])
    assert end.value.code == 0
    said = capsys.readouterr()
    turns = [line for line in said.err.splitlines() if line.startswith("round 1: ")]
    assert [line.split(": ")[1] for line in turns] == [f"{DEFAULT_MODEL}, every-frame", f"{DEFAULT_MODEL}, clockwork:3"]
    result = json.loads((tmp_path / "out/small.json").read_text())
    assert [(row["schedule"], row["frames"]) for row in result["rows"]] == [("every-frame", 10), ("clockwork:3", 10)]
    assert [round(row["key_frame_rate"], 2) for row in result["rows"]] == [1.0, 0.4]
    assert all(0.3 < row["miou"] <= 1 for row in result["rows"])
    assert all(row["memory_mib"] > 50 and row["cores"] > 0 for row in result["rows"])
    assert "drive-seg" in result["versions"]
    page = (tmp_path / "out/small.html").read_text()
    assert page.count('src="data:image/png;base64,') == 3
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", page)
    assert "https://" not in page
    assert f"| {DEFAULT_MODEL}, clockwork:3 | openvino int8 |" in document.read_text()
    assert "not yet" not in document.read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "docs/bench").glob("*.toml")), ids=lambda path: path.stem)
def test_what_make_bench_measures_can_be_meant_and_has_its_place(path: Path) -> None:
    assert len(read_matrix(path, {}).combinations) > 2
    check_blocks([ROOT / "README.md", ROOT / "docs/benchmarking.md"], path.stem)

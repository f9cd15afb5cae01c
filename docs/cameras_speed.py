"""Latency and drops of several cameras in one process, beside as many processes of one camera each; of a quiet machine.

`python docs/cameras_speed.py` plays 2, 4 and 8 demo drives at 15 fps for 60 s each way, by turns, three rounds, and prints a Markdown table
of the medians over the rounds; `--json FILE` keeps every run's figures. What follows `--` goes to all: `-- --schedule budget:60ms`.

The drives are rendered once into files first, so that what is measured decodes and does not draw.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import psutil
from av.video.frame import VideoFrame

from drive_seg.backends.validation import cpu_label
from drive_seg.sources import open_source

PROGRAM = [sys.executable, "-m", "drive_seg", "run", "--headless", "--realtime"]
QUIET = 0.10  # share of the CPU that others may take before a run


def rendered(folder: Path, cameras: int, size: str, fps: int, seconds: float) -> list[Path]:
    paths = list[Path]()
    for seed in range(cameras):
        path, frames = folder / f"{seed}.mp4", round(fps * seconds)
        with open_source(f"demo:?seed={seed}&size={size}&fps={fps}&frames={frames}") as source, av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "20"})
            stream.height, stream.width = source.info.size_hw
            stream.pix_fmt = "yuv420p"
            while frame := source.read():
                container.mux(stream.encode(VideoFrame.from_ndarray(frame.image, format="bgr24")))
            container.mux(stream.encode(None))
        paths.append(path)
    return paths


def together(drives: Sequence[Path], folder: Path, flags: Sequence[str]) -> tuple[list[dict[str, Any]], float]:
    """The cameras' figures of one process, and its CPU seconds."""
    out = folder / "together.json"
    sources = [word for drive in drives for word in ("--source", str(drive))]
    used_s = spent([subprocess.Popen([*PROGRAM, *sources, "--json", str(out), "-y", *flags], stdout=subprocess.DEVNULL)])
    summary = json.loads(out.read_text())
    return list(summary.get("cameras", [summary])), used_s


def apart(drives: Sequence[Path], folder: Path, flags: Sequence[str]) -> tuple[list[dict[str, Any]], float]:
    """The same of a process each, all at once."""
    outs = [folder / f"apart-{number}.json" for number in range(len(drives))]
    commands = [[*PROGRAM, "--source", str(drive), "--json", str(out), "-y", *flags] for drive, out in zip(drives, outs, strict=True)]
    used_s = spent([subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands])
    return [json.loads(out.read_text()) for out in outs], used_s


def spent(processes: Sequence["subprocess.Popen[bytes]"]) -> float:
    """The CPU seconds that they took until all had ended. Raises where one failed."""
    before = os.times()
    for process in processes:
        if process.wait():
            raise SystemExit(f"{' '.join(map(str, process.args))}: ended with {process.returncode}")  # type: ignore[union-attr]
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def others_share(seconds: float) -> float:
    psutil.cpu_percent()
    time.sleep(seconds)
    return psutil.cpu_percent() / 100


def row(way: str, count: int, runs: Sequence[tuple[list[dict[str, Any]], float]], due: int) -> str:
    """Over cameras the best and the worst, each the median of the rounds."""

    def of(figure: Any) -> str:
        per_round = [sorted(figure(one) for one in cameras) for cameras, _ in runs]
        low, high = (statistics.median(values[at] for values in per_round) for at in (0, -1))
        return f"{low:.1f}–{high:.1f}"

    shares = [100 * (1 - sum(one["frames"] for one in cameras) / (due * count)) for cameras, _ in runs]
    used_s = statistics.median(used for _, used in runs)
    p50, p99 = (of(lambda one, name=name: one["latency_ms"]["total"][name]) for name in ("p50", "p99"))
    keys = of(lambda one: 100 * one["key_frame_rate"])
    return f"| {count} | {way} | {p50} | {p99} | {statistics.median(shares):.1f} | {keys} | {used_s:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--json", type=Path)
    own, flags = (sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]) if "--" in sys.argv else (sys.argv[1:], [])
    given = parser.parse_args(own)
    if (busy := others_share(2.0)) > QUIET:
        print(f"others take {busy:.0%} of this machine: the figures will not be those of a quiet one", file=sys.stderr)
    kept, rows = list[dict[str, Any]](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drives, due = rendered(folder, max(given.cameras), given.size, given.fps, given.seconds), round(given.fps * given.seconds)
        ways = {"one process": together, "a process each": apart}
        for count in given.cameras:
            runs: dict[str, list[tuple[list[dict[str, Any]], float]]] = {way: [] for way in ways}
            for turn in range(given.rounds):
                for way in list(ways)[:: 1 if turn % 2 == 0 else -1]:
                    runs[way].append(ways[way](drives[:count], folder, flags))
                    kept.append({"cameras": count, "way": way, "round": turn, "figures": runs[way][-1][0], "cpu_s": runs[way][-1][1]})
            rows += [row(way, count, runs[way], due) for way in ways]
    what = f"{given.size} at {given.fps} fps, {given.seconds:g} s, {given.rounds} rounds"
    print(f"{cpu_label(os.cpu_count() or 1)}; {what}; {' '.join(flags)}\n")
    print("| cameras | | p50 ms | p99 ms | lost % | key frames % | CPU s |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    if given.json:
        given.json.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()

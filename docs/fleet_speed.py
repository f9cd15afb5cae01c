"""Files an hour and memory of `drive-seg batch`, beside the same files one after the other; of a quiet machine.

`python docs/fleet_speed.py drive.mp4 --files 6` makes copies of one drive and labels them by `drive-seg run` one after the other, by a
batch with one worker and by one with two, three rounds by turns; `--files 200 --memory` labels them once by two workers and tells their
memory as it goes. What follows `--` goes to both commands: `-- --schedule clockwork:4`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

ROUNDS = 3
PROGRAM = [sys.executable, "-m", "drive_seg"]


def copies(drive: Path, count: int, folder: Path) -> list[Path]:
    data = drive.read_bytes()
    paths = [folder / f"{number:03d}{drive.suffix}" for number in range(count)]
    for path in paths:
        path.write_bytes(data)
    return paths


def one_after_the_other(drives: Sequence[Path], out: Path, flags: Sequence[str]) -> None:
    for drive in drives:
        (made := out / drive.stem).mkdir(parents=True)
        written = ["--save-masks", str(made / "masks"), "--trace", str(made / "trace.jsonl")]
        subprocess.run([*PROGRAM, "run", "--headless", "--source", str(drive), *written, *flags], check=True, capture_output=True)


def batch(drives: Sequence[Path], out: Path, flags: Sequence[str], workers: int, ray: str) -> subprocess.Popen[str]:
    given = [str(drives[0].parent), "--out", str(out), "--workers", str(workers), "--ray", ray, "--json", *flags]
    return subprocess.Popen([*PROGRAM, "batch", *given], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def memory(work: "subprocess.Popen[str]") -> None:
    assert work.stdout
    done = 0
    for line in work.stdout:
        done += json.loads(line)["event"] == "file"
        if '"file"' in line and done % 20 == 0:
            held = [child.memory_info().rss for child in psutil.Process(work.pid).children(recursive=True)]
            print(f"{done} files: {', '.join(f'{rss / 1e6:.0f}' for rss in sorted(held, reverse=True)[:3])} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drive", type=Path)
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--ray", default="none")
    parser.add_argument("--memory", action="store_true")
    own, flags = (sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]) if "--" in sys.argv else (sys.argv[1:], [])
    given = parser.parse_args(own)
    threads = ["--threads", "1", *flags]
    with tempfile.TemporaryDirectory() as folder:
        (place := Path(folder) / "drives").mkdir()
        drives = copies(given.drive, given.files, place)
        if given.memory:
            memory(batch(drives, Path(folder) / "out", threads, 2, given.ray))
            return
        ways = {
            "one after the other": lambda out: one_after_the_other(drives, out, threads),
            "a batch of one worker": lambda out: batch(drives, out, threads, 1, given.ray).communicate(),
            "a batch of two workers": lambda out: batch(drives, out, threads, 2, given.ray).communicate(),
        }
        took = {name: list[float]() for name in ways}
        for turn in range(ROUNDS):
            for number, (name, way) in enumerate(ways.items()):
                start_s = time.perf_counter()
                way(Path(folder) / f"out-{turn}-{number}")
                took[name].append(time.perf_counter() - start_s)
        first_s = statistics.median(next(iter(took.values())))
        for name, seconds in took.items():
            median_s = statistics.median(seconds)
            print(f"{name}: {given.files / median_s * 3600:.0f} files an hour, {first_s / median_s:.2f} times as many as the first")


if __name__ == "__main__":
    main()

"""Nothing leaves this machine that its user did not send, and no password stands in anything that is written or printed."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from drive_seg import cli
from drive_seg.errors import BackendError, DriveSegError
from drive_seg.redaction import redacted
from drive_seg.session.player import Player
from drive_seg.settings import Settings
from drive_seg.ui.app import caught
from drive_seg.ui.keeping import Memory
from drive_seg.ui.window import MainWindow
from tests.fakes import FakeBackend, make_bundle
from tests.sources.test_stream import Camera
from tests.waiting import PATIENCE_MS, PATIENCE_S

SECRET = "hunter2"

RUN_ALL = """
import socket, sys
from contextlib import closing

asked = []
def hook(event, about):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        asked.append((event, *map(str, about)))
sys.addaudithook(hook)

import numpy as np
from drive_seg.backends import BACKENDS, open_backend
from drive_seg.errors import BackendError
from drive_seg.network.card import load_bundle
from drive_seg.network.engine import Engine

ran = []
for name in BACKENDS:
    try:
        backend = open_backend(name, device=None, precision="fp32", threads=1)
    except BackendError:
        continue
    with Engine(load_bundle("camvid"), backend, int8=False) as engine:
        engine.fit((96, 128))
        context = dict(engine.low(np.zeros((1, *engine.input_hw, 3), np.uint8), {}))
        for stage in engine.cached:
            context |= engine.deep(stage, context)
    ran.append(name)

def tries():  # of this network namespace, to send anything: what went out, and what found no way out
    counted = {}
    lines = [line.split() for line in open("/proc/net/snmp")]
    for names, values in zip(lines[::2], lines[1::2]):
        counted |= {names[0] + name: int(value) for name, value in zip(names[1:], values[1:])}
    counted |= {name: int(value) for name, value in (line.split() for line in open("/proc/net/snmp6"))}
    return {name: counted.get(name, 0) for name in ("Ip:OutRequests", "Ip:OutNoRoutes", "Ip6OutRequests", "Ip6OutNoRoutes")}

print("asked", asked)
if "apart" in sys.argv:
    before = tries()
    print("sent", before)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect_ex(("192.0.2.1", 53))
    print("counts", tries() != before)
print("ran", *ran)
"""


def _can_be_apart() -> bool:
    try:
        return subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False, timeout=PATIENCE_S).returncode == 0
    except OSError:
        return False


def test_no_backend_tells_anyone(tmp_path: Path) -> None:
    """In a network of its own, which counts every packet that was tried; in the process itself, no socket was asked for."""
    apart = _can_be_apart()
    told = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data")}
    before = ["unshare", "-rn"] if apart else []
    command = [*before, sys.executable, "-c", RUN_ALL, *(["apart"] if apart else [])]
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"} | told
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert "openvino" in said["ran"].split()
    assert said["asked"] == "[]"
    if apart:
        assert said["counts"] == "True"  # else it would prove nothing
        assert set(eval(said["sent"]).values()) == {0}
    assert [str(path) for path in tmp_path.rglob("*") if path.is_file()] == []
    if not apart:
        pytest.skip("unshare -rn does not work here: what native code sends past Python was not seen")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:hunter2@cam/x: refused; rtsp://you:hunter2@cam/y", "rtsp://cam/x: refused; rtsp://cam/y"),
        ("rtsp://me:hun/ter?2#@cam:554/x", "rtsp://cam:554/x"),
        ("rtsp://me:hunter 2@cam: refused", "rtsp://cam: refused"),
        ("http:/me:hunter2@cam/x: no such file", "http:/cam/x: no such file"),  # as a path of it says
        ("http:\\me:hunter2@cam\\x: no such file", "http:\\cam\\x: no such file"),
        ("C:/drives/me@home/x.mp4: no such file", "C:/drives/me@home/x.mp4: no such file"),
        ("rtsp://cam: refused; write to me@home", "rtsp://cam: refused; write to me@home"),
        ("http://cam:8080/who@where", "http://cam:8080/who@where"),
        ("http://cam/x?a=1&token=hunter2&b=2", "http://cam/x?a=1&token=…&b=2"),
        ("--source 'http://cam/x?token=hun'ter2' --loop", "--source 'http://cam/x?token=…' --loop"),  # a command as the window copies it
        ("http://cam/x?token=hunter2: refused", "http://cam/x?token=…: refused"),
        ("http://cam/x?user=me&loginpas=hunter2", "http://cam/x?user=me&loginpas=…"),
        ("rtsp://cam/user=me&password=hunter2&channel=1", "rtsp://cam/user=me&password=…&channel=1"),
        ("rtsp://cam/user=me_password=hunter2", "rtsp://cam/user=me_password=…"),
        ("demo:?seed=7&frames=3", "demo:?seed=7&frames=3"),
    ],
)
def test_what_is_taken_out(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_errors_are_without_passwords_from_their_beginning() -> None:
    for kind in (DriveSegError, BackendError):
        assert str(kind(f"rtsp://me:{SECRET}@cam: no")) == "rtsp://cam: no"


STREAM = f"rtsp://me:{SECRET}@127.0.0.1:9/x"  # where nobody answers
REFUSED = (f"foo://me:{SECRET}@cam/x", f"foo://cam/x?token={SECRET}", f"http://me:{SECRET}@[x")  # without being looked for


@pytest.mark.parametrize("address", REFUSED)
@pytest.mark.parametrize("command", ["run --headless --json j.json", "run --headless --debug", "evaluate", "bench --json j.json"])
def test_no_failure_tells_a_password(
    address: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main([*command.split(), "--source", address])
    assert end.value.code in (1, 2)
    _nowhere(tmp_path, *capfd.readouterr())


def test_nor_what_a_vendor_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", "--source", STREAM, "--debug"])
    assert end.value.code == 1
    said = capfd.readouterr()
    assert "Traceback" in said.err
    _nowhere(tmp_path, *said)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of one that sends pictures, with secrets, for a bundle `./small` that computes nothing."""
    make_bundle(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drive_seg.session.opening.open_backend", lambda name, **how: FakeBackend())
    with Camera() as camera:
        camera.begin()
        yield camera.address.replace("//", f"//me:{SECRET}@") + f"?size=1&token={SECRET}"


@pytest.mark.parametrize(
    "flags",
    [
        "--headless --max-frames 3 --trace t.jsonl --output o.mp4 --save-masks m",
        "--headless --max-frames 3 --trace t.perfetto.json --output o.mkv",
        "--benchmark --max-frames 3 --warmup 0 --min-time 0",
    ],
)
def test_nothing_that_a_run_writes_tells_a_password(camera: str, flags: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--source", camera, "--model", "./small", "--json", "j.json", *flags.split()])
    said = capfd.readouterr()
    assert end.value.code == 0, said.err
    assert "?size=1&token=…" in said.err
    assert (tmp_path / "j.json").stat().st_size > 100
    _nowhere(tmp_path, *said)


def test_nothing_that_the_window_shows_or_writes_tells_a_password(
    camera: str, qtbot: QtBot, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    player = Player(Settings.load(None, {"source": camera, "model": "./small"}))
    player.open()
    memory = Memory(QSettings(str(tmp_path / "kept" / "window.ini"), QSettings.Format.IniFormat))
    memory.keep(folder=str(tmp_path / "kept here"))
    window, told = MainWindow(player, memory=memory), list[str]()
    window.cockpit.told.connect(lambda line, failure: told.append(window.bar.text.text()))
    window.cockpit.kept.connect(lambda line, folder: told.append(line))
    try:
        window.show()
        qtbot.waitUntil(lambda: window.video.image is not None and window.keys["snapshot"].isEnabled(), timeout=PATIENCE_MS)
        window.keys["copy-command"].trigger()
        window.keys["snapshot"].trigger()
        qtbot.waitUntil(lambda: len(told) == 2, timeout=PATIENCE_MS)
        with caught(window.failed):
            QTimer.singleShot(0, lambda: int(camera))
            qtbot.waitUntil(lambda: "invalid literal" in window.bar.text.text(), timeout=PATIENCE_MS)
        texts = [window.windowTitle(), window.bar.text.text(), *told, *(label.text() for label in window.findChildren(QLabel))]
    finally:
        window.close()
        window.deleteLater()
    said = capfd.readouterr()
    assert "Traceback" in said.err
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text().startswith("drive-seg run --source 'http://127.0.0.1:")
    for text in (*texts, *said, clipboard.text()):
        assert SECRET not in text
    written = list((tmp_path / "kept here").iterdir())
    assert {path.suffix for path in written} == {".json", ".png"}
    _nowhere(tmp_path / "kept here", *map(str, written))


def test_nor_does_a_crash(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def crashes(settings: Settings) -> None:
        raise ValueError(f"nobody expected {settings.source}")

    monkeypatch.setattr("drive_seg.session.paths.check_paths", crashes)
    for hooked in (sys, threading):  # as in a process of its own
        monkeypatch.setattr(hooked, "excepthook", hooked.__excepthook__)
    with pytest.raises(ValueError, match="nobody expected") as crash:
        cli.main(["run", "--headless", "--source", STREAM])
    sys.excepthook(crash.type, crash.value, crash.tb)
    thread = threading.Thread(target=crashes, args=(Settings(source=STREAM),))
    thread.start()
    thread.join()
    said = capfd.readouterr()
    assert said.err.startswith("Traceback")
    assert said.err.count("ValueError: nobody expected rtsp://127.0.0.1:9/x\ndrive-seg: this should not have happened; please report") == 2
    assert SECRET not in said.out + said.err


def test_no_report_tells_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """What cannot run is told with its command and its reason, in Markdown, JSON and HTML."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drive_seg.bench.machine.describe", lambda: {"cpu": "x", "threads": 1, "gpu": "", "memory_gib": 1, "kernel": "y"})

    def fails(flags: dict[str, object]) -> dict[str, object]:
        raise BackendError(f"{flags['source']}: no video stream there")

    monkeypatch.setattr("drive_seg.bench.matrix.measure_in_process", fails)
    with pytest.raises(SystemExit) as end:
        cli.main(["bench", "--source", STREAM, "--schedule", "every-frame", "--schedule", "clockwork:4", "--out", "b", "--rounds", "1"])
    assert end.value.code == 0
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["bench.html", "bench.json", "bench.md"]
    assert "rtsp://127.0.0.1:9/x" in (tmp_path / "b" / "bench.json").read_text()
    _nowhere(tmp_path, *capfd.readouterr())


def _nowhere(folder: Path, *said: str) -> None:
    for text in said:
        assert SECRET not in text
    for path in folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_what_the_window_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "window.ini"
    memory = Memory(QSettings(str(file), QSettings.Format.IniFormat))
    memory.opened(STREAM)
    memory.settings.sync()
    assert memory.recent == [STREAM]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)  # of an earlier version
    Memory(QSettings(str(file), QSettings.Format.IniFormat)).settings.sync()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

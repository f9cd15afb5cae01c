"""The page in a real browser, and the command that serves it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_cli import SHORT, call
from tests.serve.conftest import TOKEN, Serving
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


def browse(url: str, *steps: tuple[str, str]) -> list[object]:
    """What the steps' expressions came to; see tests/serve/browser.py."""
    pytest.importorskip("PyQt6.QtWebEngineCore", reason="needs a browser: pip install PyQt6-WebEngine", exc_type=ImportError)
    command = [sys.executable, "-m", "tests.serve.browser", url, json.dumps(steps)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["console"] == []  # neither an error nor something that its policy forbids
    return list(said["values"])


def typed(control: str, value: str, event: str = "change") -> str:
    """A script that does as a person who changes this control."""
    return f"by.{control}.value = '{value}'; by.{control}.dispatchEvent(new Event('{event}'))"


def test_the_page_shows_the_run_and_steers_it_in_a_browser(serve: Serving) -> None:
    served = serve(token=TOKEN, schedule="clockwork:4")
    values = browse(
        f"http://{served.host}/?token={TOKEN}",
        ("", "Number(by.picture.dataset.drawn) > 3 && strip.length > 3 && `${by.picture.width}x${by.picture.height}`"),
        ("", "[by.state.textContent, by.source.textContent, by.schedule.value, location.search, document.cookie]"),
        ("", "by.classes.textContent"),
        (
            typed("schedule", "clockwork:2"),
            "by.headline.textContent.includes('clockwork:2')",
        ),
        (typed("opacity", "0.2", "input"), "by.opacity.value"),
        ("by.compare.click()", "comparing && !by.divider.hidden && by.compared.textContent"),
        (typed("schedule", "sometimes"), "!by.trouble.hidden && by.trouble.textContent"),
        ("by.pause.click()", "paused && by.pause.textContent"),
    )
    assert values[:3] == ["64x48", ["playing", "fake", "clockwork:4", "", ""], "roadcarsky"]
    assert str(values[5]).startswith("A clockwork:2 ")
    assert str(values[6]).startswith("sometimes: no such schedule")
    assert values[7] == "Go on"
    assert served.player.look.opacity == 0.2
    assert served.player.status().state == "paused"


def test_a_page_without_the_token_is_told_what_to_do(serve: Serving) -> None:
    served = serve(token=TOKEN, play=False)
    served.headers = {}
    assert served.text("/") == "give the token: open the page as /?token=…, or send the header Authorization: Bearer …\n"


def test_a_served_run_plays_to_its_end_and_reports(capsys: pytest.CaptureFixture[str], tmp_path: Path, serve: Serving) -> None:
    config = tmp_path / "drive.toml"
    config.write_text(f'serve = 0\ntoken = "{TOKEN}"\nthreads = 1\n')
    made = ("--output", str(tmp_path / "out.mp4"), "--json", str(tmp_path / "out.json"))
    code, out, err = call(capsys, "run", "--source", SHORT, "--config", str(config), "--model", serve.model, *made)
    assert code == 0, err
    assert err.startswith("serving http://127.0.0.1:")
    assert "/?token=…\n" in err
    assert f"wrote {tmp_path / 'out.mp4'}" in out
    figures = (tmp_path / "out.json").read_text()
    assert json.loads(figures)["frames"] > 0
    assert TOKEN not in out + err + figures


def test_a_served_run_that_breaks_ends_with_that_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, serve: Serving
) -> None:
    from drive_seg.errors import SourceError
    from tests.fakes import FakeSource

    broken = FakeSource(3, 100.0, error=SourceError("the cable is out; plug it in"))
    monkeypatch.setattr("drive_seg.session.steered.open_source", lambda name, **how: broken)
    code, _, err = call(capsys, "run", "--model", serve.model, "--serve", "0")
    assert (code, err.splitlines()[-1]) == (1, "drive-seg: the cable is out; plug it in")
    assert err.count("the cable is out") == 1
    code, _, err = call(capsys, "run", "--model", "no-such-bundle", "--serve", "0")
    assert (code, "no-such-bundle" in err.splitlines()[-1]) == (2, True)

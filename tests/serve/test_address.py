"""Where the page is served, and what is refused before anything of a run is opened: needs none of the packages that serve."""

import socket
from pathlib import Path

import pytest

from drive_seg import redaction
from drive_seg.errors import UsageError
from drive_seg.redaction import redacted
from drive_seg.serve.address import listen, require_packages, written
from drive_seg.settings import Settings
from tests.cli.test_cli import call
from tests.serve.conftest import TOKEN


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_hidden", set())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("car.local:80", ("car.local", 80)),
        ("[::1]:8080", ("::1", 8080)),
        (65535, ("127.0.0.1", 65535)),
    ],
)
def test_an_address_is_read_and_typed_again(typed: object, meant: tuple[str, int]) -> None:
    settings = Settings.load(None, {"serve": typed})
    assert settings.serve == meant
    assert settings.arguments()[-2:] == ["--serve", written(*meant)]
    assert Settings.load(None, {"serve": written(*meant)}).serve == meant


@pytest.mark.parametrize("typed", ["", ":8080", "8080x", "::1:8080", "127.0.0.1", "127.0.0.1:65536", "a b:80", "http://x:80", ("::", 80)])
def test_what_is_no_address_is_refused(typed: object) -> None:
    with pytest.raises(UsageError, match=r"--serve: give an address and a port, such as 127\.0\.0\.1:8080"):
        Settings.load(None, {"serve": typed})


def test_this_machine_alone_needs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen("localhost", 0, token=False) as found:
        assert found.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UsageError, match=r"--serve 0\.0\.0\.0:80: can be reached from other machines; give a --token .* or serve 127"):
        listen("0.0.0.0", 80, token=False)
    asked: list[object] = []
    monkeypatch.setattr(socket, "create_server", lambda where, family: asked.append((where, family)))  # nobody else is served here
    listen("0.0.0.0", 80, token=True)
    listen("::", 80, token=True)
    assert asked == [(("0.0.0.0", 80), socket.AF_INET), (("::", 80, 0, 0), socket.AF_INET6)]


@pytest.mark.parametrize(
    ("host", "said"), [("a..b", "a..b is not known here"), ("192.0.2.1", "no address of this machine"), ("256.0.0.1", "is not known here")]
)
def test_what_cannot_be_served_says_so(host: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = socket.getaddrinfo

    def numbers_alone(name: str, *more: object, **how: object) -> object:
        if name == "256.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return asked(name, *more, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", numbers_alone)
    with pytest.raises(UsageError, match=f"--serve {host}:0: .*{said}.*; give"):
        listen(host, 0, token=True)


def test_a_package_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.serve.address.find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(UsageError, match=r"--serve: uvicorn not installed; pip install 'drive-seg\[serve\]'"):
        require_packages()


def test_a_port_in_use_is_one_line_before_the_network_is_looked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drive_seg.cli.served.require_packages", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = call(capsys, "run", "--model", "no-such-bundle", "--serve", str(port))
    said = f"drive-seg: --serve 127.0.0.1:{port}: the port is in use; give another one, or 0 for any that is free\n"
    assert (code, out, err) == (2, "", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--token", TOKEN), "--token: is asked for by --serve"),
        (("--serve", "0", "--benchmark"), "takes time from what a benchmark measures"),
        (("--serve", "0", "--token", "too-short"), "--token: give at least 16"),
    ],
)
def test_what_does_not_go_together_is_refused(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    code, _, err = call(capsys, "run", *arguments)
    assert (code, said in err, err.count("\n")) == (2, True, 1)
    assert "too-short" not in err


def test_a_token_is_told_nowhere(tmp_path: Path) -> None:
    config = tmp_path / "drive.toml"
    config.write_text(f'serve = "0.0.0.0:8080"\ntoken = "{TOKEN}"\n')
    for settings in (Settings.load(config, {}), Settings.load(None, {"serve": 80, "token": TOKEN})):
        assert settings.token
        assert settings.token.get_secret_value() == TOKEN
        assert TOKEN not in " ".join((repr(settings), str(settings.model_dump()), *settings.arguments()))
    assert str(UsageError(f"{TOKEN} cannot be meant")) == "… cannot be meant"
    assert redacted(f"GET /?token={TOKEN} and {TOKEN}x") == "GET /?token=… and …x"

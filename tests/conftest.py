"""What every test is kept from, the user's cache and settings; and what all share, networks that OpenVINO has compiled before."""

import locale
from collections.abc import Iterator
from contextlib import suppress

import pytest

from drive_seg.backends.openvino import OpenVinoBackend


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


@pytest.fixture(autouse=True)
def _utf8() -> None:
    """Where no locale is set, libraries of C put the process back to ASCII when they please."""
    with suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")


_properties = OpenVinoBackend._properties


@pytest.fixture(autouse=True)
def _compiled_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """OpenVINO keeps what it compiles for the next test that asks for the same, in a third of the time; its own tests compile each time."""
    if "backends" not in request.path.parts:
        kept = {"CACHE_DIR": str(tmp_path_factory.getbasetemp() / "openvino")}
        monkeypatch.setattr(OpenVinoBackend, "_properties", lambda self: _properties(self) | kept)

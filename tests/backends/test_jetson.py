"""A Jetson's power mode and clocks are read where there are some, and nothing is said on any other machine."""

from pathlib import Path

import pytest

from drive_seg.backends.jetson import describe_jetson

CONF = "< POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=2 NAME=15W >\n< PM_CONFIG DEFAULT=2 >\n"


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    files = {
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "etc/nvpmodel.conf": CONF,
        "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "1300500000\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_its_mode_and_its_clock_are_told(orin: Path) -> None:
    assert describe_jetson(orin, lambda: "NV Power Mode: MODE_30W\n2\n") == (
        "NVIDIA Jetson AGX Orin Developer Kit: power mode MODE_30W, GPU at 306 MHz, free between 306 and 1300 MHz: jetson_clocks is off"
    )


def test_a_clock_that_is_held_is_told(orin: Path) -> None:
    for name in ("cur", "min"):
        (orin / f"sys/class/devfreq/17000000.gpu/{name}_freq").write_text("1300500000")
    assert "GPU at 1300 MHz, held there by jetson_clocks" in str(describe_jetson(orin, lambda: ""))


def test_without_nvpmodel_the_mode_that_it_starts_in_is_told(orin: Path) -> None:
    assert "power mode not known (nvpmodel -q does not answer; it starts in 15W)" in str(describe_jetson(orin, lambda: ""))
    (orin / "etc/nvpmodel.conf").unlink()
    assert "power mode not known (nvpmodel -q does not answer), GPU" in str(describe_jetson(orin, lambda: ""))


def test_a_jetson_in_a_container_is_known_by_its_release(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.0")
    assert describe_jetson(tmp_path, lambda: "") == "Jetson: power mode not known (nvpmodel -q does not answer), GPU clock not known"


def test_any_other_machine_is_none(tmp_path: Path) -> None:
    assert describe_jetson(tmp_path, lambda: "NV Power Mode: MAXN") is None
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi 5")
    assert describe_jetson(tmp_path, lambda: "") is None

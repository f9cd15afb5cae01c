"""What the machine tells, against a sysfs that the tests write."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from drive_seg.bench.machine import EnergyCounter, Gauges, Reading, describe, peak_memory_mib, provenance


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def rapl(folder: Path, joules: float, wraps_j: float = 1000.0) -> None:
    zone = folder / "class/powercap/intel-rapl:0"
    write(zone / "name", "package-0")
    write(zone / "energy_uj", round(joules * 1e6))
    write(zone / "max_energy_range_uj", round(wraps_j * 1e6))
    write(folder / "class/powercap/intel-rapl:0:0/name", "core")


def test_energy_is_the_difference_of_a_counter_that_wraps(tmp_path: Path) -> None:
    rapl(tmp_path, 990.0)
    gauges = Gauges(tmp_path)
    before = gauges.read()
    rapl(tmp_path, 15.0)
    usage = gauges.usage(before, gauges.read())
    assert usage.joules == {"CPU package-0": pytest.approx(25.0)}
    assert list(usage.not_measured) == ["GPU"]
    assert EnergyCounter("GPU 0", lambda: 0.0).spent(10.0, 12.5) == 2.5


def test_what_has_no_counter_says_why(tmp_path: Path) -> None:
    gauges = Gauges(tmp_path)
    usage = gauges.usage(gauges.read(), gauges.read())
    assert usage.joules == {}
    assert "RAPL" in usage.not_measured["CPU"]
    assert "pip install nvidia-ml-py" in usage.not_measured["GPU"]
    assert (usage.throttles, usage.mhz) == (None, ())


def test_a_counter_that_only_root_may_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rapl(tmp_path, 1.0)
    read_text = Path.read_text

    def guarded(path: Path, *args: object, **kwargs: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read_text(path)

    monkeypatch.setattr(Path, "read_text", guarded)
    gauges = Gauges(tmp_path)
    assert "by root alone" in gauges.usage(gauges.read(), gauges.read()).not_measured["CPU"]


def test_the_gpus_energy_and_what_slows_it_come_from_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    energy = iter([1000, 1000, 6000])  # mJ: once to see that it answers
    nvml = ModuleType("pynvml")
    for name, value in {
        "NVMLError": RuntimeError, "nvmlInit": lambda: None, "nvmlDeviceGetCount": lambda: 1, "nvmlDeviceGetHandleByIndex": lambda i: i,
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: next(energy),
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 0x4 | 0x1,
    }.items():  # fmt: skip
        setattr(nvml, name, value)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gauges = Gauges(tmp_path)
    before = gauges.read()
    gauges.sample()
    usage = gauges.usage(before, gauges.read())
    assert usage.joules == {"GPU 0": 5.0}
    assert usage.slowdowns == ("power cap",)
    assert "GPU" not in usage.not_measured


def test_clocks_and_throttling_are_read_where_the_kernel_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.bench.machine._cpus", lambda: [0, 1])
    for cpu, khz in ((0, 3_000_000), (1, 4_000_000)):
        write(tmp_path / f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", khz)
        write(tmp_path / f"devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count", 5)
    gauges = Gauges(tmp_path)
    before = gauges.read()
    gauges.sample()
    write(tmp_path / "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", 8)
    usage = gauges.usage(before, gauges.read())
    assert (usage.mhz, usage.throttles) == ((3500.0,), 3)
    gauges.forget_samples()
    assert gauges.usage(before, gauges.read()).mhz == ()


def test_cpu_time_is_shared_between_this_process_and_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.bench.machine._cpus", lambda: [0, 1])
    gauges = Gauges(tmp_path)
    usage = gauges.usage(Reading(10.0, 3.0, 100.0, None), Reading(20.0, 15.0, 116.0, None))  # 10 s of two CPUs, 12 s own, 16 s in all
    assert (usage.seconds, usage.cores) == (10.0, pytest.approx(1.2))
    assert (usage.cpu_share, usage.others_share) == (pytest.approx(0.6), pytest.approx(0.2))


def test_only_the_cpus_that_this_process_may_use_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    per_cpu = [SimpleNamespace(user=5.0, system=1.0, idle=50.0, iowait=9.0, steal=2.0, guest=4.0), SimpleNamespace(user=70.0, system=0.0)]
    monkeypatch.setattr("drive_seg.bench.machine._cpus", lambda: [0])
    monkeypatch.setattr("psutil.cpu_times", lambda percpu: per_cpu)
    assert Gauges(tmp_path).read().all_cpu_s == 8.0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_peak_memory_is_this_process_own(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("VmPeak:\t 9999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n")
    assert peak_memory_mib(status) == 2.0
    assert (peak_memory_mib() or 0) > 10


def test_where_and_when_and_with_what_is_told() -> None:
    machine, ran = describe(), provenance("drive-seg bench", ("numpy", "no-such-package"))
    assert machine["cpu"]
    assert machine["threads"] >= 1
    assert machine["kernel"]
    assert (ran["command"], set(ran["versions"])) == ("drive-seg bench", {"python", "numpy"})
    assert ran["date"][10] == "T"

"""What this machine is, and what it tells while something is measured: CPU time, memory, clocks and energy."""

import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import psutil

from drive_seg.backends.tensorrt.cuda import gpu_here
from drive_seg.backends.validation import cpu_name, one_line

PACKAGES = ("drive-seg", "numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch", "tensorrt", "tensorrt_rtx")
# of nvmlDeviceGetCurrentClocksThrottleReasons (NVML API reference, nvmlClocksThrottleReasons)
SLOWDOWNS = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal", 0x80: "power brake"}


def provenance(command: str, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The command, the date with its time zone, and the versions of what is installed of the packages."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {"command": command, "date": datetime.now().astimezone().isoformat(timespec="seconds"), "versions": versions}


def describe() -> dict[str, Any]:
    """The CPU, its physical cores, the threads of it that this process may use, memory, the operating system's kernel, and the GPU."""
    gpu = gpu_here()
    return {
        "cpu": cpu_name(),
        "cores": psutil.cpu_count(logical=False),
        "threads": len(_cpus()),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "gpu": gpu and gpu.name,
    }


def _cpus() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A counter of joules since an arbitrary moment; only differences mean anything."""

    name: str
    read: Callable[[], float]
    wraps_j: float = math.inf  # begins again at 0 there

    def spent(self, before_j: float, after_j: float) -> float:
        return (after_j - before_j) % self.wraps_j


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters' values at one moment."""

    time_s: float
    own_cpu_s: float  # of this process, in all its threads
    all_cpu_s: float  # of everybody on the CPUs that this process may use, what a hypervisor took away included
    throttles: int | None  # how often a core or package was slowed for its heat; None where the kernel does not say
    energy_j: Mapping[str, float] = field(default_factory=dict)  # by EnergyCounter.name


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU, memory, clocks and energy between two readings."""

    seconds: float
    cores: float  # that this process kept busy, on average
    cpu_share: float  # 0..1, of the CPUs that it may use
    others_share: float  # 0..1, the same of everybody else
    peak_mib: float | None  # of memory, since the process began
    throttles: int | None
    mhz: tuple[float, ...]  # mean clock of the CPUs, sample by sample; empty where it cannot be read
    slowdowns: tuple[str, ...]  # why a GPU's clock was held back
    joules: Mapping[str, float]
    not_measured: Mapping[str, str]  # CPU and GPU, whose energy is not known, and why


class Gauges:
    """Reads this machine's CPU time, clocks, throttling and energy: `read` at both ends of a run, `sample` about once a second."""

    def __init__(self, sys_folder: Path = Path("/sys"), clock: Callable[[], float] = time.perf_counter) -> None:
        """`sys_folder`: where the kernel's sysfs is."""
        self._clock, self._process, self._cpus = clock, psutil.Process(), _cpus()
        folders = [sys_folder / f"devices/system/cpu/cpu{cpu}" for cpu in self._cpus]
        self._clocks = [path for folder in folders if (path := folder / "cpufreq/scaling_cur_freq").is_file()]
        kinds = ("core_throttle_count", "package_throttle_count")
        self._throttles = [path for folder in folders for kind in kinds if (path := folder / "thermal_throttle" / kind).is_file()]
        self._counters, self._not_measured = _rapl(sys_folder / "class/powercap")
        gpu_counters, self._slowdown, why = _nvml()
        self._counters += gpu_counters
        if why:
            self._not_measured["GPU"] = why
        self._mhz: list[float] = []
        self._slowdowns: set[str] = set()

    def read(self) -> Reading:
        own = self._process.cpu_times()
        per_cpu = psutil.cpu_times(percpu=True)
        busy = sum(_busy_s(per_cpu[cpu]) for cpu in self._cpus if cpu < len(per_cpu))
        throttles = sum(int(path.read_text()) for path in self._throttles) if self._throttles else None
        energy = {counter.name: counter.read() for counter in self._counters}
        return Reading(self._clock(), own.user + own.system, busy, throttles, energy)

    def sample(self) -> None:
        """Notes the clocks, for `usage`. Takes a fraction of a millisecond."""
        if self._clocks:
            with suppress(OSError, ValueError):
                self._mhz.append(sum(int(path.read_text()) for path in self._clocks) / len(self._clocks) / 1e3)
        self._slowdowns |= self._slowdown()

    def forget_samples(self) -> None:
        self._mhz.clear()
        self._slowdowns.clear()

    def usage(self, before: Reading, after: Reading) -> Usage:
        seconds = max(after.time_s - before.time_s, 1e-9)
        own, everybody = after.own_cpu_s - before.own_cpu_s, after.all_cpu_s - before.all_cpu_s
        known = before.throttles is not None and after.throttles is not None
        return Usage(
            seconds=seconds,
            cores=own / seconds,
            cpu_share=own / seconds / len(self._cpus),
            others_share=max(0.0, everybody - own) / seconds / len(self._cpus),
            peak_mib=peak_memory_mib(),
            throttles=(after.throttles or 0) - (before.throttles or 0) if known else None,
            mhz=tuple(self._mhz),
            slowdowns=tuple(sorted(self._slowdowns)),
            joules={one.name: one.spent(before.energy_j[one.name], after.energy_j[one.name]) for one in self._counters},
            not_measured=dict(self._not_measured),
        )


def _busy_s(times: Any) -> float:
    """Of one CPU, from psutil's counts: everything but idling. What guests took is part of `user` already."""
    return float(sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "interrupt", "dpc", "steal")))


def peak_memory_mib(status: Path = Path("/proc/self/status")) -> float | None:
    """The most that this process has held in memory since it began; None where the system does not say."""
    with suppress(OSError):  # Linux: getrusage would give the parent's peak to a process that was just started
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)  # Windows
    return None if peak is None else float(peak) / 2**20


def _rapl(folder: Path) -> tuple[list[EnergyCounter], dict[str, str]]:
    """The CPU packages' counters (Linux's powercap), or why there are none."""
    zones = sorted(folder.glob("intel-rapl:[0-9]*")) if folder.is_dir() else []  # AMD's have the same name
    packages = [zone for zone in zones if zone.name.count(":") == 1]  # below them are their parts
    if not packages:
        return [], {"CPU": f"the kernel offers no RAPL counter in {folder}"}
    try:
        return [_rapl_counter(zone) for zone in packages], {}
    except PermissionError:
        return [], {"CPU": f"{packages[0]}/energy_uj may be read by root alone; sudo chmod a+r it"}
    except (OSError, ValueError) as error:
        return [], {"CPU": f"{packages[0]}: {one_line(error)}"}


def _rapl_counter(zone: Path) -> EnergyCounter:
    name, file = (zone / "name").read_text().strip(), zone / "energy_uj"
    counter = EnergyCounter(f"CPU {name}", lambda: int(file.read_text()) / 1e6, int((zone / "max_energy_range_uj").read_text()) / 1e6)
    counter.read()  # raises where it may not be read
    return counter


def _nvml() -> tuple[list[EnergyCounter], Callable[[], set[str]], str]:
    """The GPUs' counters and what slows them now, or why there are none."""

    def nothing() -> set[str]:
        return set()

    try:
        nvml = import_module("pynvml")
    except ImportError:
        return [], nothing, "needs nvidia-ml-py; pip install nvidia-ml-py"
    try:
        nvml.nvmlInit()
        handles = {f"GPU {i}": nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())}

        def counter(name: str) -> EnergyCounter:
            return EnergyCounter(name, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handles[name]) / 1e3)

        counters = [counter(name) for name in handles]
        for one in counters:
            one.read()
    except nvml.NVMLError as error:
        return [], nothing, one_line(error)

    def slowdown() -> set[str]:
        bits = 0
        for handle in handles.values():
            with suppress(nvml.NVMLError):
                bits |= nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        return {said for bit, said in SLOWDOWNS.items() if bits & bit}

    return counters, slowdown, "" if counters else "no NVIDIA GPU"

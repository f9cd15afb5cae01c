"""Whether a bundle's int8 files or its floats are the faster ones on this machine: timed once, then remembered in the user's cache folder.

Neither is faster everywhere: depthwise layers gain nothing from int8 where there are matrix units for bf16, and a third of the time on a
CPU with AVX2 alone.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import metadata
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from drive_seg.contracts import Backend
from drive_seg.errors import DriveSegError
from drive_seg.files import write
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine
from drive_seg.reading import parse_json

WARM_UP, ROUNDS, LIMIT_S = 2, 9, 2.0  # frames of each, in turns; after the limit what has been timed decides
_found: dict[str, bool] = {}  # by this process, whether it could be written or not
GAIN = 0.95  # of the floats' time: int8 costs a little accuracy, so that a draw is theirs


def int8_is_faster(bundle: Bundle, open_backend: Callable[[], Backend], clock: Callable[[], float] = time.perf_counter) -> bool:
    """For a picture of the card's size, on backends that `open_backend` makes; what was found here before is not timed again.

    Raises BackendError.
    """
    file, key = user_cache_path("drive-seg", appauthor=False) / "precision.json", _key(bundle, open_backend())
    known = _found | _read(file)
    if key not in known:
        _found[key] = known[key] = _time(bundle, open_backend, clock)
        with suppress(OSError, DriveSegError):  # then the next process times it again
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, json.dumps(_read(file) | {key: known[key]}, indent=2) + "\n", overwrite=True)
    return known[key]


def _time(bundle: Bundle, open_backend: Callable[[], Backend], clock: Callable[[], float]) -> bool:
    size_hw = bundle.card.input.height, bundle.card.input.width
    image = np.random.default_rng(0).integers(0, 256, (1, *size_hw, 3), dtype=np.uint8)
    times: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        engines = {int8: stack.enter_context(Engine(bundle, open_backend(), int8=int8)) for int8 in times}
        for engine in engines.values():
            engine.fit(size_hw)
        end = clock() + LIMIT_S
        for turn in range(WARM_UP + ROUNDS):
            for int8, engine in engines.items():
                start = clock()
                low = context = dict(engine.low(image, {}))
                for stage in engine.cached:
                    context = {**context, **engine.deep(stage, context)}
                engine.head(low, context, fresh=True)
                if turn >= WARM_UP:
                    times[int8].append(clock() - start)
            if turn >= WARM_UP and clock() > end:
                break
    return statistics.median(times[True]) < GAIN * statistics.median(times[False])


def _key(bundle: Bundle, backend: Backend) -> str:
    """Changes with the files, the runtime and what it runs on."""
    version = ""
    with suppress(metadata.PackageNotFoundError):
        version = metadata.version(backend.name)
    files = hashlib.sha256("".join(sorted(file.sha256 for file in bundle.card.files())).encode()).hexdigest()
    return f"{bundle.card.name} {files[:16]} · {backend.name} {version} · {backend.device}"


def _read(file: Path) -> dict[str, bool]:
    with suppress(OSError, ValueError):
        found = parse_json(file.read_bytes())
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if isinstance(value, bool)}
    return {}

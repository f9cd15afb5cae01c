"""The store gives back what was put and refuses, with the reason, what is damaged, foreign or stale."""

import shutil
import stat
from pathlib import Path

import pytest

from drive_seg.backends.tensorrt import store
from drive_seg.backends.tensorrt.build import Built
from drive_seg.backends.tensorrt.store import ANY_GPU, TYPING, Entry, Key, Store
from drive_seg.contracts import TensorSpec

KEY = Key(
    source="camvid/low.onnx",
    onnx="aa",
    inputs={"image": (1, 8, 8, 3)},
    frames={},
    precision="fp16",
    typing=TYPING,
    flavour="tensorrt",
    version="10.9.0",
    gpu="NVIDIA L4",
    compute_capability="8.9",
    driver="12.8",
)
BUILT = Built(
    b"an engine",
    (TensorSpec("image", "uint8", (1, 8, 8, 3)),),
    (TensorSpec("y", "float32", (1, 2)),),
    "fp16",
    {"convolution": {"fp16": 3}},
    1.5,
)


def test_what_was_put_is_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find(KEY) == ""
    store.put(KEY, BUILT)
    found = Store(tmp_path).find(KEY)
    assert isinstance(found, Entry)
    assert (found.plan, found.about.inputs, found.about.outputs) == (BUILT.plan, BUILT.inputs, BUILT.outputs)
    assert (found.about.precision, found.about.layers, found.about.build_s) == ("fp16", {"convolution": {"fp16": 3}}, 1.5)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".plan"]  # nothing half-written is left


def test_engines_lie_in_the_user_s_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never in the working folder, where somebody else may have put some, and nobody else may write there."""
    monkeypatch.setattr(store, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    (tmp_path / "engines" / ".cache" / "tensorrt").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert store.cache_folder() == tmp_path / "cache" / "tensorrt"
    Store().put(KEY, BUILT)
    assert stat.S_IMODE((tmp_path / "cache" / "tensorrt").stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_an_engine_that_somebody_else_may_have_put_there_is_not_run(tmp_path: Path, what: str) -> None:
    store = Store(tmp_path / "engines")
    store.put(KEY, BUILT)
    (tmp_path / "engines" if what == "the folder" else next((tmp_path / "engines").glob("*.plan"))).chmod(0o777)
    assert "others may write there" in str(store.find(KEY))
    store.put(KEY, BUILT)  # which is what follows
    assert isinstance(store.find(KEY), Entry)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"onnx": "bb"}, "stale: the ONNX file has changed"),
        ({"typing": TYPING + 1}, "stale: another version of this program"),
        ({"version": "10.10.1"}, "built by tensorrt 10.9.0, and tensorrt 10.10.1 would run it"),
        ({"flavour": "tensorrt_rtx", "version": "1.7"}, "tensorrt_rtx 1.7 would run it"),
        ({"gpu": "NVIDIA H200", "compute_capability": "9.0"}, "another GPU: NVIDIA L4 (compute capability 8.9), not NVIDIA H200 (9.0)"),
        ({"driver": "13.0"}, "driver for CUDA 12.8, and this one is for 13.0"),
    ],
)
def test_an_engine_of_something_else_is_refused_with_the_reason(tmp_path: Path, change: dict[str, object], says: str) -> None:
    store = Store(tmp_path)
    store.put(KEY, BUILT)
    wanted = KEY.model_copy(update=change)
    found = store.find(wanted)
    assert isinstance(found, str)
    assert says in found
    assert "camvid/low.onnx" in found
    # and a file that was given the wanted name by hand does not become it
    for suffix in (".plan", ".json"):
        shutil.copy(tmp_path / f"{KEY.name}{suffix}", tmp_path / f"{wanted.name}{suffix}")
    renamed = store.find(wanted)
    assert isinstance(renamed, str)
    assert says in renamed


@pytest.mark.parametrize("change", [{"source": "camvid/high.onnx"}, {"inputs": {"image": (1, 8, 16, 3)}}, {"precision": "int8"}])
def test_engines_of_other_stages_sizes_and_precisions_stand_beside_each_other_without_a_word(
    tmp_path: Path, change: dict[str, object]
) -> None:
    store = Store(tmp_path)
    store.put(KEY, BUILT)
    assert store.find(KEY.model_copy(update=change)) == ""


@pytest.mark.parametrize(
    ("suffix", "content", "says"),
    [
        (".plan", b"an engine.", "damaged"),
        (".plan", b"", "damaged"),
        (".json", b"{", "damaged"),
        (".json", b'{"format": 1}', "damaged"),
        (".json", None, "nobody knows what it is"),
    ],
)
def test_a_damaged_engine_is_refused_and_can_be_written_again(tmp_path: Path, suffix: str, content: bytes | None, says: str) -> None:
    store = Store(tmp_path)
    store.put(KEY, BUILT)
    path = tmp_path / f"{KEY.name}{suffix}"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    found = store.find(KEY)
    assert isinstance(found, str)
    assert says in found
    assert "\n" not in found
    assert [bool(one.why) for one in store.listed()] == [True]
    store.put(KEY, BUILT)
    assert isinstance(store.find(KEY), Entry)


def test_clear_removes_everything_and_says_how_much(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    assert store.clear() == (0, 0)
    store.put(KEY, BUILT)
    store.put(KEY.model_copy(update={"gpu": ANY_GPU}), BUILT)
    assert len(list(store.listed())) == 2
    assert store.clear() == (2, 2 * len(BUILT.plan))
    assert not list((tmp_path / "cache").iterdir())


def test_what_cannot_be_written_leaves_the_old_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put(KEY, BUILT)

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.put(KEY, Built(b"another", BUILT.inputs, BUILT.outputs, "fp16", {}, 1.0))
    found = store.find(KEY)
    assert isinstance(found, Entry)
    assert found.plan == BUILT.plan
    assert len(list(tmp_path.iterdir())) == 2

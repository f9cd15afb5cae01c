"""What reaches the head of a key frame's context, held and warped."""

import cv2
import numpy as np
import pytest

from drive_seg.contracts import Array, Image, Key
from drive_seg.network.propagate import Flow, Hold, make_propagation, warp

SIZE_HW = (360, 480)


def street(dx: int = 0, dy: int = 0, seed: int = 0) -> Image:
    """A picture (1, H, W, 3) of soft spots, moved so many pixels to the right and down."""
    spots = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)
    large = cv2.resize(spots, (640, 480), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[60 - dy : 420 - dy, 80 - dx : 560 - dx])[None]


def ramp(rows: int = 23, columns: int = 30, channels: int = 128) -> Array:
    """A context (1, C, h, w) whose first two channels are each cell's own x and y."""
    context = np.zeros((1, channels, rows, columns), np.float32)
    context[0, 0], context[0, 1] = np.arange(columns)[None], np.arange(rows)[:, None]
    return context


def propagated(before: Image, now: Image, context: Array) -> Array:
    flow = Flow()
    key = Key(0, 0.0, 0, SIZE_HW, seen=flow.see(before), context={"context": context})
    return flow.propagate(key, flow.see(now))["context"]


@pytest.mark.parametrize(("dx", "dy"), [(16, 0), (0, 16), (-24, 8), (5, -11)])
def test_flow_fetches_each_cell_from_where_it_was(dx: int, dy: int) -> None:
    moved = propagated(street(), street(dx, dy), ramp())
    assert moved.shape == (1, 128, 23, 30)
    for channel, by in ((0, dx), (1, dy)):
        error = np.abs(moved[0, channel] - (ramp()[0, channel] - by / 16))[4:-4, 4:-4]
        assert np.median(error) < 0.1


def test_what_stands_still_stays_and_a_key_frame_is_untouched() -> None:
    assert np.abs(propagated(street(), street(), ramp()) - ramp()).max() < 0.05
    flow, context = Flow(), ramp()
    seen = flow.see(street())
    assert flow.propagate(Key(0, 0.0, 0, SIZE_HW, seen=seen, context={"context": context}), seen)["context"] is context


@pytest.mark.parametrize(("name", "warped"), [("flow", {"context"}), ("netwarp", {"context", "key_embedding"})])
def test_what_the_network_warps_on_from_is_warped_with_the_context(name: str, warped: set[str]) -> None:
    flow = make_propagation(name)
    assert isinstance(flow, Flow)
    assert flow.name == name
    key = Key(0, 0.0, 0, SIZE_HW, {"key_embedding": ramp(channels=2)}, flow.see(street()), {"context": ramp(channels=2)})
    moved = flow.propagate(key, flow.see(street(16, 0)))
    assert set(moved) == warped
    for tensor in moved.values():
        assert np.median((tensor - ramp(channels=2))[0, 0, :, 4:-4]) == pytest.approx(-1, abs=0.1)


def test_motion_differs_from_place_to_place() -> None:
    """The camera goes ahead: everything moves away from the middle, by as much as it is away from it."""
    flow, before = Flow(), street()
    turn = cv2.getRotationMatrix2D((240, 180), 0, 1.04)
    now = np.asarray(cv2.warpAffine(before[0], turn, (480, 360), borderMode=cv2.BORDER_REFLECT), np.uint8)[None]
    motion = flow.motion(flow.see(now), flow.see(before))
    columns, rows = np.meshgrid(np.arange(120) - 59.5, np.arange(90) - 44.5)
    for found, place in ((motion[..., 0], columns), (motion[..., 1], rows)):
        assert np.median(np.abs(found + place * (1 - 1 / 1.04))) < 0.5


@pytest.mark.parametrize(("dx", "dy"), [(12, 0), (-12, 0), (0, 12), (0, -12)])
def test_what_comes_into_the_picture_moves_as_what_is_beside_it(dx: int, dy: int) -> None:
    flow = Flow()
    motion = flow.motion(flow.see(street(dx, dy)), flow.see(street()))
    assert np.median(motion[..., 0]) == pytest.approx(-dx / 4, abs=0.3)
    assert np.median(motion[..., 1]) == pytest.approx(-dy / 4, abs=0.3)


def test_a_picture_is_averaged_before_its_motion_is_looked_for() -> None:
    stripes = np.zeros((1, 360, 480, 3), np.uint8)
    stripes[:, ::4] = 200
    assert np.unique(Flow().see(stripes)).tolist() == [50]


def test_nothing_comes_from_outside_of_the_map() -> None:
    motion = np.dstack([np.full((90, 120), value, np.float32) for value in (40, -30)])
    assert (warp(np.full((1, 3, 23, 30), 5, np.float32), motion) == 5).all()
    assert (warp(np.full((180, 240), 5, np.uint8), motion) == 5).all()


def test_labels_are_warped_whole() -> None:
    labels = np.zeros((180, 240), np.uint8)
    labels[:, 100:140] = 7
    motion = np.dstack((np.full((90, 120), 10.0, np.float32), np.zeros((90, 120), np.float32)))
    moved = warp(labels, motion)
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) == {0, 7}
    assert np.flatnonzero(moved[90] == 7).tolist() == list(range(80, 120))


def drive(pictures: list[Image], flow: Flow, keys: dict[int, int]) -> list[Array]:
    """The ramp, each frame's own by 100, as each frame gets it from the key of `keys`, its own where there is none."""
    made: list[Key] = []
    moved = []
    for i, picture in enumerate(pictures):
        seen = flow.see(picture)
        made.append(Key(i, i / 30, 0, SIZE_HW, seen=seen, context={"context": ramp(channels=2) + 100 * i}))
        moved.append(flow.propagate(made[keys.get(i, i)], seen)["context"])
    return moved


def test_motion_is_followed_from_frame_to_frame_further_than_it_could_be_found_at_once() -> None:
    pictures = [street(10 * i - 40) for i in range(9)]
    moved = drive(pictures, flow := Flow(), dict.fromkeys(range(9), 0))
    for i in (4, 8):
        error = np.abs(moved[i] - ramp(channels=2))[0, 0, 3:-3, 3 + 10 * i // 16 : -3] - 10 * i / 16
        assert np.abs(np.median(error)) < 0.15, i
    at_once = Flow().motion(flow.see(pictures[8]), flow.see(pictures[0]))[20:-20, 25:-20, 0] * 4
    assert np.abs(at_once + 80).mean() > 3  # of which this is the test


def test_each_frame_costs_one_flow_and_a_key_frame_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth frame is a key frame, and its context is used two frames later, when its motion since is known already."""
    found: list[int] = []
    flow, motion = Flow(), Flow.motion
    monkeypatch.setattr(Flow, "motion", lambda self, now, before: found.append(len(flow._trail)) or motion(self, now, before))
    keys = {i: max(0, (i - 2) // 4 * 4) for i in range(1, 16)}
    moved = drive([street(4 * i - 30) for i in range(16)], flow, keys)
    assert len(found) == 15
    for i, key in keys.items():
        off = moved[i] - ramp(channels=2) - 100 * key
        assert np.median(off[0, 0, 3:-3, 5:-5]) == pytest.approx(-4 * (i - key) / 16, abs=0.1), (i, key)
    found.clear()
    drive([street()] * 5, flow, {})
    assert not found


def test_a_context_older_than_is_remembered_is_found_at_once_and_followed_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.network.propagate.REMEMBERED", 3)
    flow, ways = Flow(), list[tuple[int, int]]()
    kept = [flow.see(street(2 * i)) for i in range(7)]
    number = {id(seen): i for i, seen in enumerate(kept)}
    motion = flow.motion
    flow.motion = lambda now, before: ways.append((number[id(now)], number[id(before)])) or motion(now, before)  # type: ignore[method-assign]
    key = Key(0, 0.0, 0, SIZE_HW, seen=kept[0], context={"context": ramp(channels=2)})
    moved = flow.propagate(key, kept[6])["context"]
    assert np.median((moved - ramp(channels=2))[0, 0, 3:-3, 3:-3]) == pytest.approx(-12 / 16, abs=0.1)
    number[id(last := flow.see(street(14)))] = 7
    moved = flow.propagate(key, last)["context"]
    assert np.median((moved - ramp(channels=2))[0, 0, 3:-3, 3:-3]) == pytest.approx(-14 / 16, abs=0.1)
    assert ways == [(6, 0), (7, 6)]


def test_two_keys_at_once_are_each_followed() -> None:
    """As of `high` and of `mid`, which has run since."""
    flow = Flow()
    keys = [Key(i, i / 30, 0, SIZE_HW, seen=flow.see(street(6 * i)), context={"context": ramp(channels=2)}) for i in (0, 1)]
    for i in (2, 3):
        seen = flow.see(street(6 * i))
        for age, key in ((i, keys[0]), (i - 1, keys[1])):
            off = flow.propagate(key, seen)["context"] - ramp(channels=2)
            assert np.median(off[0, 0, 3:-3, 3:-3]) == pytest.approx(-6 * age / 16, abs=0.1)


def test_a_wide_picture_keeps_its_shape() -> None:
    seen = Flow().see(np.zeros((1, 288, 608, 3), np.uint8))
    assert seen.shape[1] / seen.shape[0] == pytest.approx(608 / 288, rel=0.02)
    assert 0.9 < seen.size / (90 * 120) < 1.1


def test_hold_and_what_the_network_does_itself_hand_the_context_over_as_it_is() -> None:
    context = {"context": ramp()}
    assert (Hold().name, Flow().name) == ("hold", "flow")
    for name in ("hold", "attend"):
        held = make_propagation(name)
        assert isinstance(held, Hold)
        assert held.name == name
        assert held.propagate(Key(0, 0.0, 0, SIZE_HW, context=context), held.see(street())) is context

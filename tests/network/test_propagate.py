"""What reaches the head of a key frame's context, held and warped."""

from types import SimpleNamespace

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


def test_motion_that_differs_from_place_to_place_is_sure() -> None:
    """The camera goes ahead: everything moves away from the middle, by as much as it is away from it."""
    flow, before = Flow(), street()
    turn = cv2.getRotationMatrix2D((240, 180), 0, 1.04)
    now = np.asarray(cv2.warpAffine(before[0], turn, (480, 360), borderMode=cv2.BORDER_REFLECT), np.uint8)[None]
    motion = flow.motion(flow.see(now), flow.see(before))
    columns, rows = np.meshgrid(np.arange(120) - 59.5, np.arange(90) - 44.5)
    assert motion[..., 2].mean() > 0.85
    for found, place in ((motion[..., 0], columns), (motion[..., 1], rows)):
        assert np.median(np.abs(found + place * (1 - 1 / 1.04))) < 0.5


@pytest.mark.parametrize(("dx", "dy"), [(12, 0), (-12, 0), (0, 12), (0, -12)])
def test_what_comes_into_the_picture_moves_as_what_is_beside_it(dx: int, dy: int) -> None:
    flow = Flow()
    motion = flow.motion(flow.see(street(dx, dy)), flow.see(street()))
    assert motion[..., 2].mean() > 0.99
    assert np.median(motion[..., 0]) == pytest.approx(-dx / 4, abs=0.3)
    assert np.median(motion[..., 1]) == pytest.approx(-dy / 4, abs=0.3)


def test_where_the_flow_fails_the_context_stays() -> None:
    before, now = street(), street(12, 0)
    now[:, :, 240:] = street(seed=9)[:, :, 240:]  # the right half is another place
    moved = propagated(before, now, ramp())[0, 0]
    assert np.median(np.abs(moved - ramp()[0, 0])[2:-2, 22:-2]) < 0.05
    assert np.median(np.abs(moved - ramp()[0, 0])[2:-2, 3:11]) == pytest.approx(12 / 16, abs=0.1)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("length", "error", "sure"), [(0.0, 0.7, True), (0.0, 0.72, False), (30.0, 4.0, True), (30.0, 4.1, False)])
def test_motion_is_sure_where_the_way_back_ends_near_the_beginning(axis: int, length: float, error: float, sure: bool) -> None:
    """Off by at most a hundredth of both lengths, squared, and half a squared pixel."""
    shape = (90, 120)
    there, back = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 2), np.float32)
    there[..., axis], back[..., axis] = length, -length + error
    flow, ways = Flow(), [there, back]
    flow._dis = SimpleNamespace(calc=lambda *_: ways.pop(0))  # type: ignore[assignment]
    motion = flow.motion(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))
    assert (motion[..., 2] == sure).all()
    assert (motion[..., axis] == length * sure).all()
    assert (motion[..., 1 - axis] == 0).all()


def test_a_picture_is_averaged_before_its_motion_is_looked_for() -> None:
    stripes = np.zeros((1, 360, 480, 3), np.uint8)
    stripes[:, ::4] = 200
    assert np.unique(Flow().see(stripes)).tolist() == [50]


def test_nothing_comes_from_outside_of_the_map() -> None:
    motion = np.dstack([np.full((90, 120), value, np.float32) for value in (40, -30, 1)])
    assert (warp(np.full((1, 3, 23, 30), 5, np.float32), motion) == 5).all()
    assert (warp(np.full((180, 240), 5, np.uint8), motion) == 5).all()


def test_labels_are_warped_whole() -> None:
    labels = np.zeros((180, 240), np.uint8)
    labels[:, 100:140] = 7
    motion = np.dstack((np.full((90, 120), 10.0, np.float32), np.zeros((90, 120), np.float32), np.ones((90, 120), np.float32)))
    moved = warp(labels, motion)
    assert moved.dtype == np.uint8
    assert set(np.unique(moved)) == {0, 7}
    assert np.flatnonzero(moved[90] == 7).tolist() == list(range(80, 120))


def test_a_motion_that_is_sure_in_less_than_half_of_a_cell_is_not_used() -> None:
    motion = np.zeros((92, 120, 3), np.float32)
    motion[:, :60], motion[:, 60:] = (8, 0, 1), (0, 0, 0)
    motion[:46, 60::2] = (8, 0, 1)  # half of the cells at the top right, which is enough
    motion[46:, 61::4] = (8, 0, 1)  # a quarter of those below
    moved = warp(ramp(), motion)[0, 0]
    assert moved[5, :15].tolist() == pytest.approx((np.arange(15) + 2).tolist())
    assert moved[5, 15:28].tolist() == pytest.approx((np.arange(15, 28) + 2).tolist())
    assert moved[17, 15:].tolist() == pytest.approx(np.arange(15, 30).tolist())


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

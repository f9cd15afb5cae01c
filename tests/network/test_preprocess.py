"""The network's input keeps the frame's shape at the card's cost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_seg.network.preprocess import input_size, to_input


@pytest.mark.parametrize(
    ("frame_hw", "wanted"),
    [((360, 480), (360, 480)), ((480, 640), (360, 480)), ((720, 960), (360, 480)), ((720, 1280), (312, 552)), ((374, 1242), (232, 760))],
)
def test_size_for_common_cameras(frame_hw: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert input_size(frame_hw, (360, 480), 8) == wanted


@given(st.integers(64, 2160), st.integers(64, 3840))
def test_size_is_whole_multiples_at_about_the_same_cost(height: int, width: int) -> None:
    rows, columns = input_size((height, width), (360, 480), 8)
    assert rows % 8 == columns % 8 == 0
    assert rows * columns == pytest.approx(360 * 480, rel=0.2)
    if 1 / 3 < width / height < 4:
        assert columns / rows == pytest.approx(width / height, rel=0.06)


@pytest.mark.parametrize(("frame_hw", "wanted"), [((4, 8000), (8, 18592)), ((8000, 4), (18592, 8))])
def test_no_side_vanishes(frame_hw: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert input_size(frame_hw, (360, 480), 8) == wanted


def test_resize_averages_and_adds_the_batch() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[::2] = 200  # every other row: a resize that only picks rows would give 0 or 200
    small = to_input(image, (24, 32))
    assert small.shape == (1, 24, 32, 3)
    assert small.dtype == np.uint8
    assert np.all(np.abs(small.astype(int) - 100) <= 1)


@pytest.mark.parametrize("size_hw", [(96, 128), (48, 128), (96, 64)])
def test_every_pixel_of_a_large_frame_counts(size_hw: tuple[int, int]) -> None:
    image = np.zeros((*size_hw, 3), np.uint8)
    image[:: size_hw[0] // 24, :: size_hw[1] // 32] = 240
    every = size_hw[0] // 24 * (size_hw[1] // 32)
    assert np.unique(to_input(image, (24, 32))).tolist() == [240 / every]


def test_a_frame_of_the_right_size_is_passed_on_untouched() -> None:
    image = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    assert np.array_equal(to_input(image, (24, 32))[0], image)

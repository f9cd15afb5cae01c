"""What a windscreen adds to a picture: to its pixels alone, except for the own bonnet, which is no class."""

from collections.abc import Callable

import numpy as np
import pytest

from drive_seg.contracts import Image
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.train.windscreen import behind_windscreen, bonnet, drops, night, reflection, wiper
from tests.lab.conftest import draw

KINDS: dict[str, Callable[[Image, np.random.Generator], Image]] = {
    "night": night,
    "drops": drops,
    "reflection": lambda image, rng: reflection(image, np.full((20, 30, 3), 255, np.uint8), rng),
    "wiper": wiper,
    "bonnet": lambda image, rng: bonnet(image, np.zeros(image.shape[:2], np.uint8), rng),
}


def street(height: int = 96, width: int = 128) -> Image:
    image, _ = draw(1)
    return np.ascontiguousarray(image.repeat(height // 48, 0).repeat(width // 64, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_changed_in_a_copy_and_the_same_for_the_same_seed(kind: str) -> None:
    image = street()
    before = image.copy()
    one, two, other = (KINDS[kind](image, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (image.shape, np.uint8)
    assert np.array_equal(image, before)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, image)


@pytest.mark.parametrize("brightness", [30, 120, 240])
def test_a_night_is_dark_whatever_the_day_was_and_lit_ahead_of_the_car(brightness: int) -> None:
    nights = [night(np.full((96, 128, 3), brightness, np.uint8), np.random.default_rng(seed)).astype(float) for seed in range(12)]
    assert all(8 < made.mean() < 110 for made in nights)
    ahead, aside = (np.mean([made[64:90, columns].mean() for made in nights]) for columns in (slice(50, 78), slice(0, 10)))
    assert ahead > 1.2 * aside


def test_a_reflection_only_adds_light_and_a_wiper_only_takes_it() -> None:
    image = street()
    assert (KINDS["reflection"](image, np.random.default_rng(3)).astype(int) >= image.astype(int) - 1).all()
    bright = np.full((96, 128, 3), 200, np.uint8)
    found = [wiper(bright, np.random.default_rng(seed)) for seed in range(8)]
    assert all((made <= 200).all() for made in found)
    assert any((made < 100).any() for made in found)


def test_a_bonnet_is_void_at_the_bottom_and_nothing_else_is() -> None:
    for seed in range(10):
        labels = np.ones((96, 128), np.uint8)
        bonnet(street(), labels, np.random.default_rng(seed))
        assert set(np.unique(labels)) == {1, VOID}
        assert (labels[:70] == 1).all()
        assert (labels[-1] == VOID).any()
        assert (np.diff((labels == VOID).astype(int), axis=0) >= 0).all()  # below the bonnet's edge there is nothing but bonnet


def test_one_or_two_of_them_come_together_and_what_is_given_stays_as_it_was() -> None:
    image, labels = street(), np.ones((96, 128), np.uint8)
    before = image.copy()
    made = [behind_windscreen(image, labels, image, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(image, before)
    assert (labels == 1).all()
    assert all(set(np.unique(truth)) <= {1, VOID} for _, truth in made)
    assert 2 < sum((truth == VOID).any() for _, truth in made) < 18

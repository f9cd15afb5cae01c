"""What stands on a recorded picture."""

from dataclasses import replace

import numpy as np
import pytest

from drive_seg.contracts import Ahead, Image, Result
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.schedule import EveryFrame, parse_schedule
from drive_seg.overlay import Look, Painter
from drive_seg.session.film import DIFFERENT, Film, Versus, filmed, told_apart
from drive_seg.session.road import CORRIDOR, PERSON
from tests.fakes import make_result

RED, BLUE = (255, 0, 0), (0, 0, 255)
PAINTER = Painter(Look((RED, BLUE), opacity=1.0))
HW = 360, 640


class Named(Pipeline):
    """Says what it runs, and runs nothing."""

    def __init__(self, schedule: str = "every-frame", classes: tuple[str, ...] = ("road", "Fu\u00dfg\u00e4nger")) -> None:
        self.engine = type("Engine", (), {"classes": classes})()  # type: ignore[assignment]
        self.schedule = parse_schedule(schedule) if schedule != "every-frame" else EveryFrame()

    @property
    def runs(self) -> dict[str, str]:
        return {"model": "city", "schedule": self.schedule.name, "mode": "sync"}


def result(label: int, hw: tuple[int, int] = HW) -> Result:
    return make_result(image=np.full((*hw, 3), 100, np.uint8), labels=np.full((90, 160), label, np.uint8))


def overlay(made: Result) -> Image:
    assert made.overlay is not None
    return made.overlay


def is_colour(picture: Image, rgb: tuple[int, int, int]) -> bool:
    return bool((picture == rgb[::-1]).all())


def test_without_a_comparison_and_captions_nothing_is_touched() -> None:
    one = result(0)
    assert filmed(one, Named(), None, None, PAINTER, Film()) is one


def test_the_road_ahead_is_drawn_where_it_was_looked_at_and_is_wanted() -> None:
    corridor = ((0.25, 0.875), (0.75, 0.875), (0.5, 0.25))
    free = ((0.0, 350.0), (0.0, 180.0), (640.0, 180.0), (640.0, 350.0))
    ahead = Ahead(HW, corridor, free, 0.9, 199, 1, 0, None, False)
    seen = replace(result(0), ahead=ahead)
    assert filmed(seen, Named(), None, None, PAINTER, Film()) is seen
    assert filmed(result(0), Named(), None, None, PAINTER, Film(road=True)).overlay is None
    picture = overlay(filmed(seen, Named(), None, None, PAINTER, Film(road=True)))
    assert is_colour(picture[:85], RED)
    assert 20 < picture[300, 40, 1] < 60  # a tint of green over the red

    def line(picture: Image, row: int, rgb: tuple[int, int, int]) -> bool:
        return any((np.abs(picture[at, 300:340] - np.array(rgb[::-1])) < 40).all() for at in range(row - 2, row + 3))

    assert line(picture, 315, CORRIDOR)  # from foot to foot
    assert line(picture, 200, CORRIDOR)  # the row that ends it
    assert not line(picture, 230, CORRIDOR)
    person = overlay(filmed(replace(seen, ahead=replace(ahead, person=True)), Named(), result(1), Named(), PAINTER, Film(road=True)))
    assert line(person, 315, PERSON)
    wide = Ahead(HW, ((-0.5, 1.5), (1.5, 1.5), (0.5, 0.5)), ((-90.0, 500.0), (0.0, 100.0), (900.0, 500.0)), None, None, None, 0, None, True)
    assert overlay(filmed(replace(seen, ahead=wide), Named(), None, None, PAINTER, Film(road=True))).shape == (*HW, 3)  # outside of it too


def test_the_divider_has_a_left_of_it_and_b_right_of_it() -> None:
    picture = overlay(filmed(result(0), Named(), result(1), Named("clockwork:4"), PAINTER, Film(divider=0.25)))
    assert is_colour(picture[:, :158], RED)
    assert is_colour(picture[:, 163:], BLUE)
    assert is_colour(picture[:, 160:161], (255, 255, 255))


def test_ids_of_another_bundle_are_drawn_in_the_colours_of_this_ones() -> None:
    other = Named(classes=("tram", "road"))  # tram has no colour here
    picture = overlay(filmed(result(0), Named(), result(1), other, PAINTER, Film(divider=0.5)))
    assert is_colour(picture[:, 330:], RED)


def test_the_difference_is_pink_where_they_differ_and_the_picture_in_grey_elsewhere() -> None:
    b = result(0)
    b.labels[:, 80:] = 1
    picture = overlay(filmed(result(0), Named(), b, Named(), PAINTER, Film(versus=Versus.DIFFERENCE)))
    assert (picture[:, :318] == picture[:, :1, :1]).all()
    assert np.abs(picture[:, 322:].mean(axis=(0, 1)) - np.array(DIFFERENT[::-1])).max() < 40


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("hw", [HW, (48, 64), (1080, 1920)])
def test_captions_stand_in_the_corners_and_the_middle_is_free(compared: bool, hw: tuple[int, int]) -> None:
    bare, written = (
        overlay(
            filmed(result(0, hw), Named(), result(0, hw) if compared else None, Named("clockwork:4") if compared else None, PAINTER, film)
        )
        if compared or film.captions
        else PAINTER.paint(result(0, hw).frame.image, result(0, hw).labels)
        for film in (Film(), Film(captions=True))
    )
    changed = (bare != written).any(axis=2)
    height, width = hw
    assert changed[: height // 8, : width // 3].any()
    assert changed[-height // 4 :, : width // 3].any()
    assert changed[: height // 8, -width // 3 :].any() == compared
    if height >= 360:
        assert not changed[height // 4 : height // 2, width // 3 :].any()
        assert is_colour(written[-height // 4 :, : width // 8][(written[-height // 4 :, : width // 8] == BLUE[::-1]).all(axis=2)], BLUE)
        assert (written[-height // 4 :, : width // 8] == BLUE[::-1]).all(axis=2).any()  # the swatch of a class that is not in the picture


def test_a_hidden_class_is_not_in_the_legend_and_the_results_own_overlay_stays_as_it_is() -> None:
    own = replace(result(0), overlay=np.full((*HW, 3), 7, np.uint8))
    written = overlay(filmed(own, Named(), None, None, Painter(Look((RED, BLUE), hidden=frozenset({1}))), Film(captions=True)))
    assert (own.overlay == 7).all()  # type: ignore[union-attr]
    assert (written == RED[::-1]).all(axis=2).any()
    assert not (written == BLUE[::-1]).all(axis=2).any()


def test_of_two_ways_what_they_do_not_share_is_said() -> None:
    assert told_apart({"model": "a", "mode": "sync"}, {"model": "b", "mode": "sync"}) == ("a", "b")
    assert told_apart({"schedule": "s"}, {"schedule": "s"}) == ("s", "s")

"""What drawn label maps say of the road ahead, to the pixel; and that a flickering pixel is no person."""

from itertools import pairwise

import numpy as np
import pytest

from drive_seg.contracts import Ahead, Corridor, Labels
from drive_seg.errors import UsageError
from drive_seg.network.ahead import USUAL, Presence, at_size, checked, look_ahead, mask_of, moved, role_table

CLASSES = ("sky", "road", "pavement", "car", "person", "void")
SKY, ROAD, PAVEMENT, CAR, PERSON, VOID = range(6)
WIDE: Corridor = ((0.0, 1.0), (1.0, 1.0), (0.5, 0.0))


def drive(height: int = 40, width: int = 80) -> Labels:
    """Sky over a road that takes the lower three quarters."""
    labels = np.full((height, width), ROAD, np.uint8)
    labels[: height // 4] = SKY
    return labels


def look(labels: Labels, corridor: Corridor = WIDE, classes: tuple[str, ...] = CLASSES) -> Ahead:
    return look_ahead(labels, corridor, role_table(classes))


def test_the_mask_has_the_pixels_whose_middle_is_in_the_triangle_and_no_row_that_is_too_narrow() -> None:
    mask = mask_of(WIDE, (40, 240))
    y, x = np.mgrid[0:40, 0:240] + 0.5
    expected = np.abs(x - 120) <= 3 * y
    assert expected.sum(1)[:2].tolist() == [4, 10]
    expected[0] = False  # no more than a 60th of 240
    assert np.array_equal(mask.inside, expected)
    assert mask.widths.tolist() == expected.sum(1).tolist()
    assert (mask.top, mask.bottom) == (1, 39)
    assert mask_of(WIDE, (40, 240)) is mask  # computed once


def test_feet_of_different_height_and_a_corridor_that_leans() -> None:
    mask = mask_of(((0.1, 1.0), (0.9, 0.5), (0.9, 0.1)), (100, 100))
    assert mask.inside[45, 80]
    assert not mask.inside[70, 80]  # under the line from foot to foot
    assert not mask.inside[45, 95]


def test_what_is_free_up_to_the_horizon() -> None:
    found = look(drive())
    assert found.row == 9  # the lowest row of the sky
    assert found.obstacle == SKY
    widths = mask_of(WIDE, (40, 80)).widths
    assert found.share == widths[10:].sum() / widths.sum()
    assert found.polygon == ((0.0, 40.0), (0.0, 10.0), (80.0, 10.0), (80.0, 40.0))
    assert (found.persons, found.person_row) == (0, None)


def test_what_is_free_to_its_top_has_no_row() -> None:
    found = look(drive(), ((0.0, 1.0), (1.0, 1.0), (0.5, 0.3)))
    assert (found.row, found.obstacle, found.share) == (None, None, 1.0)


def test_a_car_ends_it_at_its_lowest_row_and_hides_what_is_behind_it() -> None:
    labels = drive()
    labels[14:24, 30:50] = CAR
    found = look(labels)
    assert (found.row, found.obstacle) == (23, CAR)
    corners = {(0.0, 40.0), (0.0, 10.0), (80.0, 10.0), (80.0, 40.0)}
    assert corners < set(found.polygon)
    around = [point for point in found.polygon if point not in corners]
    assert {y for _, y in around} == {10.0, 24.0}
    assert {x for x, _ in around} <= {29.5, 30.5, 31.5, 48.5, 49.5, 50.5}  # half a column, and a corner that is rounded


def test_what_stands_beside_the_corridor_ends_nothing() -> None:
    labels = drive()
    labels[20:40, :15] = CAR
    found = look(labels, ((0.3, 1.0), (0.7, 1.0), (0.5, 0.3)))
    assert (found.row, found.share) == (None, 1.0)
    assert min(x for x, _ in found.polygon) == 15.0  # the columns that hang together with the corridor's foot


def test_the_polygon_is_where_most_of_the_foot_is_and_empty_where_there_is_no_road() -> None:
    labels = drive()
    labels[:, 20:24] = CAR
    assert min(x for x, _ in look(labels, ((0.1, 1.0), (0.9, 1.0), (0.5, 0.3))).polygon) == 24.0
    assert look(np.full((40, 80), PAVEMENT, np.uint8)).polygon == ()
    assert look(np.full((40, 80), PAVEMENT, np.uint8)).row == 39


def test_a_pixel_alone_ends_nothing_and_a_tenth_of_the_width_does() -> None:
    labels = drive()
    labels[30, 40] = CAR
    assert look(labels).row == 9
    assert mask_of(WIDE, (40, 80)).widths[29:31].tolist() == [60, 62]
    for columns, row in ((5, 9), (6, 29), (9, 30)):  # the lowest row of a block loses its corners
        labels = drive()
        labels[28:31, 40 : 40 + columns] = CAR
        assert look(labels).row == row


def test_void_is_neither_road_nor_in_the_way_but_not_known_to_be_free() -> None:
    labels = drive()
    labels[25:30] = VOID
    labels[0:5] = 200  # no class either
    found = look(labels)
    assert (found.row, found.obstacle) == (9, SKY)
    widths = mask_of(WIDE, (40, 80)).widths
    assert found.share == (widths[10:25].sum() + widths[30:].sum()) / (widths.sum() - widths[25:30].sum() - widths[:5].sum())
    assert {y for _, y in found.polygon} == {30.0, 40.0}
    assert look(np.full((40, 80), VOID, np.uint8)).share is None


def test_people_are_counted_in_the_corridor_alone() -> None:
    labels = drive()
    labels[20:30, 38:42] = PERSON
    labels[20:30, 0:4] = PERSON
    found = look(labels)  # 4 columns of 60 are less than a tenth, and people all the same
    assert (found.persons, found.person_row, found.row, found.obstacle) == (40, 29, 29, PERSON)


def test_the_classes_of_another_data_set_mean_the_same_and_what_has_no_road_says_so() -> None:
    labels = drive()
    labels[20:30, 38:42] = PERSON
    theirs = ("Sky", "Lane Marking - General", "Sidewalk", "Truck", "Rider", "Unlabeled")
    assert look(labels, classes=theirs) == look(labels)
    with pytest.raises(UsageError, match="no class of this network is the road"):
        role_table(("apple", "pear"))


def test_rows_and_corners_at_the_frames_size() -> None:
    labels = drive()
    labels[20:30, 38:42] = PERSON
    found = at_size(look(labels), (120, 160))
    assert (found.size_hw, found.row, found.person_row, found.persons) == ((120, 160), 89, 89, 40)
    assert found.polygon[0] == (0.0, 120.0)
    assert at_size(look(labels), (20, 40)).row == 14


def test_labels_that_are_too_small_for_it_are_refused() -> None:
    with pytest.raises(UsageError, match="the corridor has no row that is wide enough in labels of 8x6"):
        mask_of(((0.45, 1.0), (0.55, 1.0), (0.5, 0.5)), (6, 8))


@pytest.mark.parametrize(
    "points",
    [
        (0.2, 1, 0.8, 1),
        (0.8, 1, 0.2, 1, 0.5, 0.5),
        (0.2, 0.4, 0.8, 1, 0.5, 0.5),
        (0.2, 1, 0.8, 1.1, 0.5, 0.5),
        (0.2, 1, 0.8, 1, float("nan"), 0),
    ],
)
def test_what_is_no_corridor(points: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"such as 0\.2,1,0\.8,1,0\.5,0\.5"):
        checked(points)


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("to", [(-1.0, -1.0), (2.0, 2.0), (0.5, 0.5), (0.0, 1.0), (1.0, 0.0)])
def test_a_point_is_moved_as_far_as_it_stays_a_corridor(which: int, to: tuple[float, float]) -> None:
    found = moved(USUAL, which, *to)
    assert checked([part for point in found for part in point]) == found
    assert [found[at] == USUAL[at] for at in range(3) if at != which] == [True, True]


def test_a_point_goes_where_it_is_put() -> None:
    assert moved(USUAL, 0, 0.3, 0.8)[0] == (0.3, 0.8)
    assert moved(USUAL, 2, 0.45, 0.4)[2] == (0.45, 0.4)


@pytest.mark.parametrize(
    ("seen", "there"),
    [
        ("1000010000100001", "0000000000000000"),  # a pixel that flickers
        ("1010100000000", "0000111110000"),  # the third of the last five begins it, five frames without end it
        ("1110001000001", "0011111111100"),
        ("110110", "000111"),
    ],
)
def test_it_takes_three_frames_of_five_to_come_and_five_to_go(seen: str, there: str) -> None:
    presence = Presence()
    assert "".join(str(int(presence.add(one == "1"))) for one in seen) == there
    changes = sum(one != other for one, other in pairwise("0" + there))
    assert changes <= 2


def test_another_segment_begins_anew() -> None:
    presence = Presence()
    assert [presence.add(True) for _ in range(3)] == [False, False, True]
    presence.forget()
    assert [presence.there, *(presence.add(True) for _ in range(3))] == [False, False, False, True]


def test_how_many_pixels_a_person_has() -> None:
    labels = drive(200, 400)  # of 80 000 pixels a 4000th is 20
    for height, seen in ((9, False), (10, True)):
        labels[100:110] = ROAD
        labels[100 : 100 + height, 200:202] = PERSON
        assert look(labels).seen is seen

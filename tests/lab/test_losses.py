"""Each loss by hand on three known pixels; for all of them: void teaches nothing, every pixel of a cell teaches, a step goes down."""

from math import log
from pathlib import Path

import pytest
import torch
from kornia.losses import focal_loss
from torch import Tensor

from drive_seg.errors import UsageError
from drive_seg.lab.evaluate.pairs import VOID
from drive_seg.lab.train.losses import LOSSES, SAMPLE, Targets, combined, near_boundary, truths
from drive_seg.lab.train.recipe import Recipe

WEIGHTS = torch.tensor([1.0, 3.0, 5.0])


def shares(*of_class_1: float) -> Tensor:
    """Scores (1, 3, 1, n) whose softmax gives class 1 these shares, class 0 the rest and class 2, which is nowhere, nothing."""
    one = torch.tensor(of_class_1)
    return torch.stack([1 - one, one, torch.full_like(one, 1e-12)]).log()[None, :, None]


def ids(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.uint8)[None, None]


# Class 0 with a share of .8, class 1 with .8 and with .5; the fourth is not known.
SCORES, LABELS = shares(0.2, 0.8, 0.5, 0.9), ids(0, 1, 1, VOID)
BY_HAND = {
    "weighted_cross_entropy": -(1 * log(0.8) + 3 * log(0.8) + 3 * log(0.5)) / (1 + 3 + 3),
    "cross_entropy": -(log(0.8) + log(0.8) + log(0.5)) / 3,
    "ohem": -log(0.5),  # the only one below .7
    "focal": -(1 * 0.2**2 * log(0.8) + 3 * 0.2**2 * log(0.8) + 3 * 0.5**2 * log(0.5)) / (1 + 3 + 3),
    # Class 0: hit .8, claimed .8 + .2 + .5, true 1. Class 1: hit .8 + .5, claimed .2 + .8 + .5, true 2.
    "dice": 1 - (2 * 0.8 / (1.5 + 1) + 2 * 1.3 / (1.5 + 2)) / 2,
    "tversky": 1 - (0.8 / (0.8 + 0.3 * 0.7 + 0.7 * 0.2) + 1.3 / (1.3 + 0.3 * 0.2 + 0.7 * 0.7)) / 2,
    # Errors of both classes: .5, .2, .2. The largest alone takes the Jaccard loss from 0 to 1/2, the others together to 1.
    "lovasz": 0.5 * 0.5 + 0.2 * 0.5,
    "boundary": -(1 * log(0.8) + 3 * log(0.8) + 3 * log(0.5)) / (1 + 3 + 3),  # all within three pixels of the other class
}


@pytest.mark.parametrize("name", LOSSES)
def test_three_pixels_by_hand(name: str) -> None:
    assert combined({name: 1.0}, SCORES, LABELS, WEIGHTS).item() == pytest.approx(BY_HAND[name], rel=1e-5)


def test_losses_add_up_by_their_factors() -> None:
    both = combined({"dice": 0.5, "ohem": 2.0}, SCORES, LABELS, WEIGHTS).item()
    assert both == pytest.approx(0.5 * BY_HAND["dice"] + 2 * BY_HAND["ohem"], rel=1e-5)


def test_ohem_without_hard_pixels_takes_the_hardest() -> None:
    assert combined({"ohem": 1.0}, shares(0.1, 0.9, 0.2, 0.75), ids(0, 1, 0, 1), WEIGHTS).item() == pytest.approx(-log(0.75), rel=1e-5)


def test_the_boundary_is_a_band_between_classes() -> None:
    assert near_boundary(ids(*[0] * 8, *[1] * 8)).flatten().tolist() == [0] * 5 + [1] * 6 + [0] * 5
    assert not near_boundary(ids(0, 0, 0, VOID, VOID)).any()
    labels, sure = ids(*[0] * 8, *[1] * 8), [0.1] * 5 + [0.5] * 6 + [0.9] * 5
    assert combined({"boundary": 1.0}, shares(*sure), labels, WEIGHTS).item() == pytest.approx(-log(0.5), rel=1e-5)


def test_absent_classes_do_not_count() -> None:
    for name in ("dice", "tversky", "lovasz"):
        two = combined({name: 1.0}, SCORES[:, :2], LABELS, WEIGHTS[:2]).item()
        assert combined({name: 1.0}, SCORES, LABELS, WEIGHTS).item() == pytest.approx(two, rel=1e-5)


def test_focal_is_the_librarys() -> None:
    scores, labels = street()
    total = sum(focal_loss(scores, truth, None, 2.0, "sum", WEIGHTS, VOID) for truth in truths(labels, (8, 12)))
    weights = sum(WEIGHTS[truth[truth != VOID]].sum() for truth in truths(labels, (8, 12)))
    assert combined({"focal": 1.0}, scores, labels, WEIGHTS).item() == pytest.approx((total / weights).item(), rel=1e-5)


def street() -> tuple[Tensor, Tensor]:
    """Random half-size scores (2, 3, 8, 12) and labels (2, 16, 24); the first picture's cells in rows 2 to 4, columns 3 to 6 are void."""
    made = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, 16, 24), generator=made, dtype=torch.uint8)
    labels[0, 4:10, 6:14] = VOID
    return torch.randn(2, 3, 8, 12, generator=made), labels


@pytest.mark.parametrize("name", LOSSES)
def test_void_teaches_nothing(name: str) -> None:
    scores, labels = street()
    other = scores.clone()
    other[0, :, 2:5, 3:7] = 7 * torch.randn(3, 3, 4)
    first, second = (combined({name: 1.0}, s.requires_grad_(), labels, WEIGHTS) for s in (scores, other))
    assert first.item() == second.item()
    (gradient,) = torch.autograd.grad(first, scores)
    assert not gradient[0, :, 2:5, 3:7].any()
    assert gradient.any()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("j", [0, 1])
def test_each_of_a_cells_pixels_teaches(name: str, i: int, j: int) -> None:
    scores, labels = street()
    before = combined({name: 1.0}, scores, labels, WEIGHTS).item()
    labels[1, 6 + i, 8 + j] = (labels[1, 6 + i, 8 + j] + 1) % 3
    assert combined({name: 1.0}, scores, labels, WEIGHTS).item() != before


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size_hw", [(8, 12), (4, 6)])  # of the scores; an auxiliary's are smaller
def test_a_step_against_the_gradient_goes_down(name: str, size_hw: tuple[int, int]) -> None:
    _, labels = street()
    scores = torch.randn(2, 3, *size_hw, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16).requires_grad_()
    loss = combined({name: 1.0}, scores, labels, WEIGHTS)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(gradient).all()
    assert combined({name: 1.0}, scores - 0.2 * gradient / gradient.norm(), labels, WEIGHTS) < loss


@pytest.mark.parametrize("name", LOSSES)
def test_scores_that_are_right_and_sure_cost_nothing(name: str) -> None:
    labels = torch.randint(0, 3, (2, 8, 12), dtype=torch.uint8)
    scores = 40 * torch.nn.functional.one_hot(labels.long(), 3).permute(0, 3, 1, 2).float()
    assert combined({name: 1.0}, scores, labels, WEIGHTS).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_where_nothing_is_known_nothing_is_taught(name: str) -> None:
    scores = torch.randn(1, 3, 8, 12, requires_grad=True)
    loss = combined({name: 1.0}, scores, torch.full((1, 16, 24), VOID, dtype=torch.uint8), WEIGHTS)
    assert torch.isfinite(loss)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert not gradient.any()


def test_a_half_size_cell_is_taught_all_its_pixels_and_a_smaller_map_the_nearest() -> None:
    labels = torch.arange(16, dtype=torch.uint8).view(1, 4, 4)
    assert sorted(int(truth[0, 0, 0]) for truth in truths(labels, (2, 2))) == [0, 1, 4, 5]
    assert [truth.tolist() for truth in truths(labels, (1, 1))] == [[[[10]]]]


def test_a_large_batch_is_sampled_at_every_phase_of_a_cell() -> None:
    rows, columns = torch.meshgrid(torch.arange(180.0), torch.arange(240.0), indexing="ij")
    scores = torch.stack([rows, columns])[None].expand(4, -1, -1, -1)
    some, truth = Targets(scores, torch.zeros(4, 360, 480, dtype=torch.uint8), WEIGHTS[:2]).sample()
    assert some.shape == (1, 2, truth.numel(), 1)
    assert SAMPLE / 4 < truth.numel() <= SAMPLE
    assert {tuple(place) for place in (some[0, :, :, 0].T % 2).int().tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("dise = 1", r"losses\..*dise is no loss; known are weighted_cross_entropy, .*dice"),
        ("dice = 0", r"losses\.dice: .*greater than 0"),
        ("", "losses: .*at least 1 item"),
    ],
)
def test_losses_that_cannot_be_meant_are_refused(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'images = "i"\nlabels = "l"\nclasses = ["a"]\nepochs = 1\n[losses]\n{table}\n')
    with pytest.raises(UsageError, match=said):
        Recipe.load(path)


def test_a_recipe_names_its_losses(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    text = 'images = "i"\nlabels = "l"\nclasses = ["a"]\nepochs = 1\n'
    path.write_text(text)
    assert Recipe.load(path).losses == {"weighted_cross_entropy": 1.0}
    path.write_text(text + "[losses]\ncross_entropy = 1\ndice = 0.5\n")
    assert Recipe.load(path).losses == {"cross_entropy": 1.0, "dice": 0.5}

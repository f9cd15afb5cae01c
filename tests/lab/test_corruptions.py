"""Spoiled pictures: the same ones each time, worse with each strength, still pictures; and what the command says of them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="corruptions are made with the workshop's torch")
pytest.importorskip("kornia", reason="corruptions are made with the workshop's kornia")

from drive_seg import cli  # noqa: E402
from drive_seg.contracts import Image  # noqa: E402
from drive_seg.demo import DemoDrive  # noqa: E402
from drive_seg.lab.evaluate.corruptions import CORRUPTIONS, STRENGTHS, corrupt  # noqa: E402


@pytest.fixture(scope="module")
def picture() -> Image:
    return np.asarray(cv2.resize(DemoDrive(2).frame(30)[0], (160, 120), interpolation=cv2.INTER_AREA), np.uint8)


def distance(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_strength_is_farther_from_the_picture_than_the_one_before(picture: Image, name: str) -> None:
    before = picture.copy()
    for index in range(4):
        spoiled = [corrupt(picture, name, strength, index) for strength in STRENGTHS]
        assert all(one.shape == picture.shape and one.dtype == np.uint8 and one.flags.c_contiguous for one in spoiled)
        far = [distance(one, picture) for one in spoiled]
        assert 1 < far[0] < far[1] < far[2]
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_frame_is_spoiled_the_same_whatever_was_drawn_before(picture: Image, name: str) -> None:
    torch.manual_seed(1)
    first = corrupt(picture, name, 2, 5)
    torch.rand(7)
    state = torch.random.get_rng_state()
    assert np.array_equal(corrupt(picture, name, 2, 5), first)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"dark", "jpeg", "white balance"}))
def test_another_frame_is_spoiled_otherwise(picture: Image, name: str) -> None:
    assert not np.array_equal(corrupt(picture, name, 2, 5), corrupt(picture, name, 2, 6))


def test_the_corruptions_do_what_they_are_named_after(picture: Image) -> None:
    brightness, contrast = float(picture.mean()), float(picture.std())
    assert corrupt(picture, "dark", 2, 0).mean() < 0.6 * brightness
    assert corrupt(picture, "glare", 2, 0).mean() > 1.05 * brightness
    assert corrupt(picture, "fog", 3, 0).std() < 0.7 * contrast
    top, bottom = (corrupt(picture, "fog", 2, 0)[rows].astype(float).std() / picture[rows].std() for rows in (slice(0, 50), slice(90, 120)))
    assert top < bottom  # far things fade first
    sharp, blurred = (np.abs(np.diff(one.astype(int), axis=1)).mean() for one in (picture, corrupt(picture, "motion blur", 3, 0)))
    assert blurred < 0.7 * sharp
    grain = corrupt(picture, "noise", 2, 0).astype(int) - picture
    assert abs(np.corrcoef(grain[:, 1:, 0].ravel(), grain[:, :-1, 0].ravel())[0, 1]) < 0.2
    ratios = [
        corrupt(picture, "white balance", 3, i)[..., 2].mean() / corrupt(picture, "white balance", 3, i)[..., 0].mean() for i in range(8)
    ]
    assert max(ratios) > 1.5 * min(ratios)  # warm ones and cold ones


def test_the_command_writes_every_score_and_their_mean(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", "--source", "demo:?size=160x120&seed=5&frames=2", "--corruptions", "--json", str(path)])
    said = capsys.readouterr().out
    assert not end.value.code
    scores = json.loads(path.read_text())
    found = scores["corruptions"]
    assert set(found) == {"clean", "miou", "mean", "ratio", "goal"}
    assert found["clean"] == pytest.approx(scores["miou"])
    assert list(found["miou"]) == list(CORRUPTIONS)
    rows = [score for row in found["miou"].values() for score in row]
    assert len(rows) == 24
    assert all(0 <= score <= 1 for score in rows)
    assert found["mean"] == pytest.approx(np.mean(rows))
    assert found["ratio"] == pytest.approx(found["mean"] / found["clean"])
    assert found["miou"]["dark"][2] < found["clean"]
    assert all(name in said for name in CORRUPTIONS)
    assert f"{found['ratio']:.1%}" in said

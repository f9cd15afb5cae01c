"""Recipes that build on others."""

from pathlib import Path

import pytest

from drive_seg.errors import UsageError
from drive_seg.lab.train.recipe import Recipe, TomlRecipe
from drive_seg.lab.train.temporal import TemporalRecipe

GIVEN = 'images = "i"\nlabels = "l"\nclasses = ["road", "sky"]\n'
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_every_recipe_that_comes_with_the_program_can_be_read(path: Path) -> None:
    kind: type[TomlRecipe] = TemporalRecipe if path.stem.startswith("temporal") else Recipe
    assert isinstance(kind.load(path), kind)


def test_a_recipe_says_only_what_its_base_does_not(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text(
        'images = "i"\nlabels = "l"\nclasses = ["road", "sky"]\nepochs = 7\nbatch = 2\n[losses]\ndice = 1.0\n'
    )
    (tmp_path / "second.toml").write_text('base = "first.toml"\nepochs = 3\n')
    (tmp_path / "third.toml").write_text('base = "second.toml"\nbatch = 4\n[losses]\nlovasz = 0.5\n')
    first, third = Recipe.load(tmp_path / "first.toml"), Recipe.load(tmp_path / "third.toml")
    assert (third.classes, third.epochs, third.batch) == (("road", "sky"), 3, 4)
    assert third.losses == {"lovasz": 0.5}  # a table is given whole
    assert first.losses == {"dice": 1.0}


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ('"a.toml"', r"a\.toml: is its own base; take base out of one of a\.toml"),
        ('"none.toml"', r"none\.toml: cannot be read"),
        ("3", r"a\.toml: base: give the name of a recipe beside it, not 3"),
    ],
)
def test_a_base_that_cannot_be_meant_is_named(tmp_path: Path, base: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(f"base = {base}\n")
    with pytest.raises(UsageError, match=said):
        Recipe.load(tmp_path / "a.toml")

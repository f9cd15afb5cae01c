"""The survey trains once, scores what was left out, times everything, and tells it in a table."""

import json
from pathlib import Path

import pytest

from drive_seg.errors import UsageError
from drive_seg.lab.build import zoo
from drive_seg.lab.train.recipe import Recipe


def test_networks_are_trained_scored_and_timed(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "ROUNDS", 2)
    short, names, said = recipe.model_copy(update={"epochs": 1}), ["deeplab", "deeplab:atrous=1"], list[str]()
    entries = zoo.survey(short, names, ["A", "B"], tmp_path / "zoo", said.append)
    assert [(entry.name, list(entry.miou)) for entry in entries] == [(name, ["A", "B"]) for name in names]
    assert all(0 <= value <= 1 for entry in entries for value in entry.miou.values())
    plain, atrous = entries
    assert plain.parameters == atrous.parameters
    assert plain.gflop["high"] < atrous.gflop["high"]
    assert plain.gflop["low"] == atrous.gflop["low"]
    assert all(entry.p50_ms.keys() >= {"fp32", "int8"} and min(entry.p50_ms.values()) > 0 for entry in entries)
    assert len(said) == 4
    rows = (tmp_path / "zoo" / "zoo.md").read_text().splitlines()[2:]
    assert sorted(row.split("`")[1] for row in rows) == sorted(names)
    assert [row["name"] for row in json.loads((tmp_path / "zoo" / "zoo.json").read_text())] == names

    trained = tmp_path / "zoo" / "deeplab-atrous1" / "A" / "log.jsonl"
    before = trained.read_text()
    zoo.survey(short, ["deeplab:atrous=1"], ["A"], tmp_path / "zoo", said.append)
    assert trained.read_text() == before


def test_the_best_stands_first() -> None:
    worse, better = zoo.Entry("a", miou={"A": 0.2, "B": 0.4}), zoo.Entry("b", miou={"A": 0.5, "B": 0.4}, p50_ms={"fp32": 1.25})
    table = zoo.render([worse, better], ["A", "B"]).splitlines()
    assert "`b`" in table[2]
    assert "**0.450**" in table[2]
    assert "| 1.2 | – |" in table[2]
    assert "**0.300**" in table[3]


@pytest.mark.parametrize("name", ["u-net", "deeplab:atrous", "deeplab:wings=2"])
def test_a_name_that_is_none_is_refused_before_anything_is_trained(recipe: Recipe, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=name.partition(":")[0]):
        zoo.survey(recipe, ["deeplab", name], ["A"], tmp_path / "zoo", print)
    assert not (tmp_path / "zoo").exists()

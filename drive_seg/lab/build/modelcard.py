"""A bundle's card as a page for people: engines/<bundle>/README.md, written from card.json and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drive_seg.files import write
from drive_seg.lab.build.export import write_card
from drive_seg.lab.evaluate.report import HEADLINES
from drive_seg.lab.evaluate.tables import figure, markdown_table
from drive_seg.network.card import Bundle, Card

PAGE = "README.md"
APART = ("corruptions",), ("ways", "hz")  # by the first of which they are told
SCORES = (*HEADLINES, "iou", "pixels")  # of an evaluation, and of nothing that is kept APART
RAN = ("frames", "backend", "precision", "device", "schedule", "mode", "propagation", "gflop_per_frame", "date", "command")


def render(card: Card) -> str:
    """Markdown: what it is, what it learned from, how well it does by class, where it must not be trusted."""
    recipe: dict[str, Any] = card.training.get("recipe", {})
    gflop = {name: stage.gflop for name, stage in card.stages.items()}
    lines = [
        f"# {card.name}",
        "",
        f"{card.network['architecture']}, {card.parameters / 1e6:.2f} M parameters, {sum(gflop.values()):.1f} GFLOP at"
        f" {card.input.width}x{card.input.height} ({', '.join(f'{name} {value:.1f}' for name, value in gflop.items())}).",
        "",
        f"- **Licence of the weights:** {card.licence}",
        f"- **Limits:** {card.limits}",
        f"- **Learned:** {card.training.get('steps', '?')} steps of {recipe.get('batch', '?')} pictures; all of the recipe is in card.json."
        + (f" It began with the weights of {recipe['start']}." if recipe.get("start") else ""),
        f"- **Precision:** {'int8 unless told otherwise' if card.precision else 'the fastest floats that the backend has'};"
        f" {'int8 and float' if card.quantised else 'float'} files are here.",
        f"- **Network:** {', '.join(f'{key} {value}' for key, value in card.network.items() if key != 'architecture')}",
        "",
        "## Measured",
        "",
    ]
    worn = {name: value["corruptions"] for name, value in card.measured.items() if "corruptions" in value}
    scored = {name: value for name, value in card.measured.items() if "iou" in value}
    if scored:
        rows = [["**mIoU**", *(f"**{value['miou']:.3f}**" for value in scored.values())]]
        rows += [[name, *(figure(value["iou"].get(name), ".3f") for value in scored.values())] for name in card.classes]
        lines += [markdown_table(["", *scored], rows, "---"), ""]
        lines += [
            f"- {name}: {value['frames']} frames, {value['backend']} {value['precision']}, `{value['command']}`"
            for name, value in scored.items()
        ]
    else:
        lines += ["Not yet."]
    for name, value in worn.items():
        lines += ["", f"**{name}**: mean mIoU {value['mean']:.3f}, {value['ratio']:.1%} of the clean {value['clean']:.3f}.", ""]
        rows = [[kind, *(figure(miou, ".3f") for miou in row)] for kind, row in value["miou"].items()]
        lines += [markdown_table(["strength", "1", "2", "3"], rows, "---")]
    return "\n".join(lines) + "\n"


def keep(bundle: Bundle, name: str, scores: Mapping[str, Any]) -> Path:
    """Writes an evaluation's figures under `name` into the card, and the page anew, whose path is returned. Raises SinkError."""
    wanted = (*next((keys for keys in APART if keys[0] in scores), SCORES), *RAN)
    kept = {key: _rounded(scores[key]) for key in wanted if key in scores}
    card = bundle.card.model_copy(update={"measured": bundle.card.measured | {name: kept}})
    path = bundle.folder / PAGE
    write_card(card, bundle.folder)
    write(path, render(card), overwrite=True)
    return path


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value

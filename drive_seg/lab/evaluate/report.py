"""The evaluation as one HTML file that needs nothing beside it: what ran, the figures, and pictures of the best and worst frames."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drive_seg.contracts import Array, Image
from drive_seg.lab.evaluate.accuracy import Scored
from drive_seg.lab.evaluate.tables import html_page
from drive_seg.overlay import Look, Painter

TEMPLATE = Path(__file__).with_name("report.html")
WORST, BEST, SPACED = 6, 3, 6
WIDTH = 480  # pixels of a picture in the report, at most
RED = (40, 40, 230)  # BGR

HEADLINES = {
    "miou": "mIoU",
    "pixel_accuracy": "pixel accuracy",
    "class_accuracy": "class accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "mean_f1": "mean F1",
    "mean_boundary_f1": "mean boundary F1",
    "mean_average_precision": "mean average precision",
    "temporal_consistency": "temporal consistency",
    "truth_consistency": "the truth's own",
    "flicker": "flicker",
}
COLUMNS = {"iou": "IoU", "accuracy": "accuracy", "f1": "F1", "boundary_f1": "boundary F1", "average_precision": "average precision"}
RAN = (
    "model", "backend", "precision", "device", "schedule", "mode", "propagation", "gflop_per_frame", "frames", "average_precision_by",
    "date", "command",
)  # fmt: skip


class Gallery:
    """The frames that the report shows, chosen while they pass: never more than WORST + BEST + 2 SPACED are kept."""

    def __init__(self) -> None:
        self._worst: list[Scored] = []
        self._best: list[Scored] = []
        self._spaced: list[Scored] = []
        self._step = 1

    def add(self, frame: Scored) -> None:
        if frame.miou is not None:
            self._worst = sorted([*self._worst, frame], key=_miou)[:WORST]
            self._best = sorted([*self._best, frame], key=_miou, reverse=True)[:BEST]
        if frame.index % self._step == 0:
            self._spaced.append(frame)
        if len(self._spaced) > 2 * SPACED:  # how long the sequence is shows only at its end
            self._spaced, self._step = self._spaced[::2], 2 * self._step

    def figures(self) -> dict[str, Any]:
        return {}

    def shown(self) -> dict[str, list[Scored]]:
        """Each frame once, under the first title that it deserves."""
        places = np.linspace(0, len(self._spaced) - 1, min(SPACED, len(self._spaced))).round().astype(int)
        spaced = [self._spaced[place] for place in places]
        worst = {frame.index for frame in self._worst}
        best = [frame for frame in self._best if frame.index not in worst]
        seen = worst | {frame.index for frame in best}
        return {"Worst frames": self._worst, "Best frames": best, "Along the sequence": [one for one in spaced if one.index not in seen]}


def _miou(frame: Scored) -> float:
    assert frame.miou is not None
    return frame.miou


def render(scores: Mapping[str, Any], gallery: Gallery, palette: Sequence[tuple[int, int, int]]) -> str:
    """What `evaluate` and `provenance` gave, and the gallery's frames, as HTML. `palette`: RGB by class."""
    painter = Painter(Look(tuple(palette)))
    return html_page(
        TEMPLATE,
        scores=scores,
        headlines={said: scores[key] for key, said in HEADLINES.items() if key in scores},
        columns={said: scores[key] for key, said in COLUMNS.items() if scores.get(key) is not None},
        colours=dict(zip(scores["iou"], palette, strict=True)),
        ran={key.replace("_", " "): _rounded(scores[key]) for key in RAN if scores.get(key) is not None},
        confusion=_confusion_plot(list(scores["iou"]), np.array(scores["confusion"], np.float64)),
        sequence=_sequence_plot(scores["miou_by_frame"], scores["miou"]),
        gallery={title: [_views(frame, painter, len(palette)) for frame in frames] for title, frames in gallery.shown().items() if frames},
    )


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _views(frame: Scored, painter: Painter, classes: int) -> dict[str, Any]:
    """The frame's caption and its four pictures as data URIs."""
    height, width = frame.truth.shape
    shown_hw = (round(height * min(1, WIDTH / width)), min(WIDTH, width))
    truth = np.where(frame.truth < classes, frame.truth, 255).astype(np.uint8)
    pictures = {
        "input": _uri(_fitted(frame.image, shown_hw, cv2.INTER_AREA), ".jpg"),
        "truth (void is black)": _uri(_fitted(painter.colour(truth, (height, width)), shown_hw, cv2.INTER_NEAREST), ".png"),
        "prediction": _uri(_fitted(painter.colour(frame.predicted, (height, width)), shown_hw, cv2.INTER_NEAREST), ".png"),
        "errors in red, void in black": _uri(_fitted(error_map(frame, classes), shown_hw, cv2.INTER_AREA), ".jpg"),
    }
    return {"index": frame.index, "miou": frame.miou, "pictures": pictures, "width": shown_hw[1], "height": shown_hw[0]}


def error_map(frame: Scored, classes: int) -> Image:
    """The picture in faint grey, red where the prediction is wrong, black where the truth is void; BGR at the truth's size."""
    faint = cv2.cvtColor(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) // 2 + 110
    known = frame.truth < classes
    faint[known & (frame.truth != frame.predicted)] = RED
    faint[~known] = 0
    return np.asarray(faint, np.uint8)


def _fitted(picture: Array, size_hw: tuple[int, int], how: int) -> Array:
    return picture if picture.shape[:2] == size_hw else cv2.resize(picture, size_hw[::-1], interpolation=how)


def _uri(picture: Array, suffix: str) -> str:
    """JPEG for photographs; PNG for flat colours, which it keeps exact in a fifth of the bytes."""
    _, coded = cv2.imencode(suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, 80] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return _data(coded.tobytes(), "jpeg" if suffix == ".jpg" else "png")


def _data(coded: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(coded).decode()}"


def _confusion_plot(classes: Sequence[str], counts: Array) -> str:
    """Where each class's pixels went, in percent of its row; classes that the truth did not show stay blank."""
    across = [*classes, "no class"] if counts[:, -1].any() else list(classes)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)[:, : len(across)]
    side = max(5.0, 0.55 * len(classes) + 2)
    figure = blank(figsize=(side + 0.6, side))
    axes = figure.add_subplot(xlabel="predicted", ylabel="true")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(across)), across, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    for row, column in np.argwhere(shares >= 0.5):
        share = shares[row, column]
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8, color="white" if share > 50 else "black")
    return drawn(figure)


def _sequence_plot(miou_by_frame: Sequence[float | None], miou: float) -> str:
    figure = blank(figsize=(10, 2.8))
    axes = figure.add_subplot(xlabel="frame", ylabel="mIoU of the frame", ylim=(0, 1))
    axes.plot([np.nan if one is None else one for one in miou_by_frame], marker="." if len(miou_by_frame) < 200 else "", linewidth=1)
    axes.axhline(miou, color="grey", linewidth=1, linestyle="--", label=f"all frames together: {miou:.3f}")
    axes.legend(loc="lower right")
    axes.margins(x=0.01)
    return drawn(figure)


def blank(figsize: tuple[float, float]) -> Any:
    """A matplotlib figure on which every name is text, also one with $ in it."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False
    return Figure(figsize=figsize, layout="constrained")


def as_png(figure: Any, dpi: int = 120) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def drawn(figure: Any) -> str:
    """A matplotlib figure as a data URI."""
    return _data(as_png(figure, dpi=110), "png")

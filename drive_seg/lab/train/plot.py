"""The learning curves of a training, as a picture."""

import json
from pathlib import Path

from drive_seg.files import write
from drive_seg.lab.evaluate.report import as_png, blank


def plot_log(log: Path, out: Path) -> None:
    """Loss, and mIoU where it was measured, against the epoch, over the picture that is there. Raises SinkError."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    scored = {row["epoch"]: row["miou"] for row in rows if row["miou"] is not None}
    figure = blank(figsize=(8, 4))
    left = figure.add_subplot(xlabel="epoch", ylabel="loss")
    left.plot([row["epoch"] for row in rows], [row["loss"] for row in rows], color="tab:blue", label="loss")
    if scored:
        right = left.twinx()
        right.set_ylabel("mIoU")
        right.plot(list(scored), list(scored.values()), color="tab:orange", marker=".", label="mIoU")
    figure.legend(loc="outside upper center", ncols=2)
    write(out, as_png(figure), overwrite=True)

"""Puts what a bundle has learned about the frames between key frames into it: stages and heads as ONNX, and the card that names them."""

import torch
from torch import Tensor, nn

from drive_seg.lab.build.export import Labelling, Piece, export_stage, gflop, write_card
from drive_seg.lab.models.staged import Head, Staged
from drive_seg.lab.models.temporal import EMBEDDING, STRIDE, Embedding, PropagatingHead, Selector
from drive_seg.lab.train.temporal import Temporal
from drive_seg.network.card import Bundle, Card, KeyInputCard, StageCard, sha256


class _Low(nn.Module):
    """The first stage, its embedding, and the forecast from it and the key frame's."""

    def __init__(self, low: nn.Module, embedding: Embedding, selector: Selector) -> None:
        super().__init__()
        self.low, self.embedding, self.selector = low, embedding, selector

    def forward(self, image: Tensor, key_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine, detail = self.low(image)
        embedding = self.embedding(detail)
        return fine, detail, embedding, self.selector(embedding, key_embedding)


class _Carrying(nn.Module):
    """A head whose propagation carries a state: the labels, and the state for the next frame."""

    def __init__(self, head: PropagatingHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, fine: Tensor, detail: Tensor, *brought: Tensor) -> tuple[Tensor, Tensor]:
        context = self.head.propagate(*brought)
        return self.head.head.labels(fine, detail, context), context


class _Once(Head):
    """A head that shows the labels of a propagation without a state."""

    def __init__(self, head: PropagatingHead) -> None:
        super().__init__()
        self.head = head

    def labels(self, fine: Tensor, detail: Tensor, *brought: Tensor) -> Tensor:  # type: ignore[override]
        return self.head.head.labels(fine, detail, self.head.propagate(*brought))


@torch.no_grad()
def attach(bundle: Bundle, network: Staged, taught: Temporal) -> Card:
    """Writes low, and a head for each propagation; what was int8 of them is to be made again, by `drive-seg quantize`."""
    card, folder = bundle.card, bundle.folder
    image = torch.randint(0, 256, (1, card.input.height, card.input.width, 3), dtype=torch.uint8)
    low = _Low(network.low, taught.embedding, taught.selector)
    fine, detail = network.low(image)
    features = {"image": image, "fine": fine, "detail": detail, "embedding": taught.embedding(detail), "context": network.high(detail)}
    features |= {"key_embedding": features["embedding"], "last_context": features["context"]}

    def stage(file: str, module: nn.Module, takes: tuple[str, ...], gives: tuple[str, ...]) -> StageCard:
        piece = Piece(module, {name: features[name] for name in takes}, gives)
        export_stage(piece, folder / file)
        return StageCard(file=file, sha256=sha256(folder / file), inputs=takes, outputs=gives, gflop=gflop(piece))

    wiring = network.wiring
    stages = {**card.stages, "low": stage("low.onnx", low, ("image", "key_embedding"), (*wiring.low, "embedding", "score"))}
    heads = {
        name: stage(f"head.{name}.onnx", Labelling(head), wiring.head_takes, (card.labels,))  # type: ignore[arg-type]
        for name, head in taught.heads.items()
    }
    for name, head in taught.propagating.items():
        assert isinstance(head, PropagatingHead)
        takes, file = ("fine", "detail", *head.propagate.takes), f"head.{name}.onnx"
        if "last_context" in takes:
            heads[name] = stage(file, _Carrying(head), takes, (card.labels, "next_context"))
        else:
            heads[name] = stage(file, Labelling(_Once(head)), takes, (card.labels,))
    made = card.model_copy(
        update={
            "stages": stages,
            "heads": heads,
            "score": "score",
            "key_inputs": {"key_embedding": KeyInputCard(channels=EMBEDDING, stride=STRIDE)},
            "propagations": tuple(heads),
            "precision": None,
        }
    )
    write_card(made, folder)
    for path in folder.glob("*.onnx"):
        if path.name not in {entry.file for entry in made.files()}:
            path.unlink()
    return made

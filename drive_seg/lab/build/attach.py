"""Puts what a bundle has learned about the frames between key frames into it: stages and heads as ONNX, and the card that names them."""

import torch
from torch import Tensor, nn

from drive_seg.lab.build.export import LabelHead, StageModule, stage_card, write_card
from drive_seg.lab.models.staged import Staged
from drive_seg.lab.models.temporal import EMBEDDING, STRIDE, Embedding, PropagatingHead, Selector
from drive_seg.lab.train.temporal import Temporal
from drive_seg.network.card import Bundle, Card, KeyInputCard, StageCard
from drive_seg.network.propagate import FOR_ALL


class _Low(nn.Module):
    """The first stage, its embedding, and the forecast from it and the key frame's."""

    def __init__(self, low: nn.Module, embedding: Embedding, selector: Selector) -> None:
        super().__init__()
        self.low, self.embedding, self.selector = low, embedding, selector

    def forward(self, image: Tensor, key_embedding: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        fine, detail = self.low(image)
        embedding = self.embedding(detail)
        return fine, detail, embedding, self.selector(embedding, key_embedding)


class _Propagated(nn.Module):
    """A head behind its propagation: the labels, and the state for the next frame where the propagation has one."""

    def __init__(self, head: PropagatingHead, recurrent: bool) -> None:
        super().__init__()
        self.head, self.recurrent = head, recurrent

    def forward(self, fine: Tensor, detail: Tensor, *inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        context = self.head.propagate(*inputs)
        labels = self.head.head.labels(fine, detail, context)
        return (labels, context) if self.recurrent else labels


@torch.no_grad()
def attach(bundle: Bundle, network: Staged, temporal: Temporal) -> Card:
    """Writes low, a head for each propagation, and the bundle's own where it was learned on. What was int8 of them is to be made again, by
    `drive-seg quantize`."""
    card, files = bundle.card, dict[str, bytes]()
    image = torch.randint(0, 256, (1, card.input.height, card.input.width, 3), dtype=torch.uint8)
    low = _Low(temporal.low, temporal.embedding, temporal.selector)
    features = network.features(image)
    features |= {"embedding": temporal.embedding(features["detail"])}
    features |= {"key_embedding": features["embedding"], "last_context": features["context"]}

    def stage(file: str, module: nn.Module, takes: tuple[str, ...], gives: tuple[str, ...]) -> StageCard:
        return stage_card(file, StageModule(module, {name: features[name] for name in takes}, gives), files)

    wiring = network.wiring
    stages = {**card.stages, "low": stage("low.onnx", low, ("image", "key_embedding"), (*wiring.low, "embedding", "score"))}
    if temporal.learn_low:
        stages["head"] = stage("head.onnx", LabelHead(temporal.head), wiring.head_takes, (card.labels,))
    heads = {
        name: stage(f"head.{name}.onnx", LabelHead(head), wiring.head_takes, (card.labels,))  # type: ignore[arg-type]
        for name, head in temporal.heads.items()
    }
    for name, head in temporal.propagating.items():
        assert isinstance(head, PropagatingHead)
        takes = ("fine", "detail", *head.propagate.takes)
        recurrent = "last_context" in takes
        gives = (card.labels, "next_context") if recurrent else (card.labels,)
        heads[name] = stage(f"head.{name}.onnx", _Propagated(head, recurrent), takes, gives)
    made = card.model_copy(
        update={
            "stages": stages,
            "heads": heads,
            "score": "score",
            "key_inputs": {"key_embedding": KeyInputCard(channels=EMBEDDING, stride=STRIDE)},
            "propagations": tuple(dict.fromkeys((*FOR_ALL, *heads))),
            "precision": None,
        }
    )
    write_card(made, bundle.folder, files)
    for path in bundle.folder.glob("*.onnx"):
        if path.name not in {entry.file for entry in made.files()}:
            path.unlink()
    return made

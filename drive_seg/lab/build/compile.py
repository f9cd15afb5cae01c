"""Compiles a bundle ahead of its first run: every stage, and the head of every propagation, at one input size."""

from drive_seg.contracts import Backend
from drive_seg.network.card import Bundle
from drive_seg.network.engine import Engine


def compile_bundle(
    bundle: Bundle, backend: Backend, about_hw: tuple[int, int] | None = None, frame_hw: tuple[int, int] | None = None
) -> None:
    """Loads every stage and head on `backend`, which caches them, for frames of `frame_hw` (default: `about_hw`, else the card's size).

    Raises UsageError for an int8 that the bundle does not have, BackendError.
    """
    card = bundle.card
    frame_hw = frame_hw or about_hw or (card.input.height, card.input.width)
    for propagation in card.propagations:
        with Engine(bundle, backend, propagation, about_hw) as engine:
            engine.fit(frame_hw)

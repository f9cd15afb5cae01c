"""Reads from an engine's inspector in which precision its layers really run."""

import json
import re
from collections import Counter

_WORDS = (
    ("int8", r"\bint8\b|\bi8\b"),
    ("fp8", r"\bfp8\b|\be4m3"),
    ("fp16", r"\bfp16\b|\bhalf\b|\bf16\b"),
    ("fp32", r"\bfp32\b|\bfloat\b|\bf32\b"),
)


def inspected_layers(text: str) -> dict[str, dict[str, int]]:
    """By layer type and precision, from the inspector's JSON; {} where it names no types.

    A layer's precision is that of its first input that has one; TensorRT writes it in words ("Channel major FP16 format …").
    """
    try:
        layers = json.loads(text).get("Layers", [])
    except (json.JSONDecodeError, AttributeError):
        return {}
    found: dict[str, Counter[str]] = {}
    for layer in layers:
        if not isinstance(layer, dict):  # without detailed verbosity, names alone
            continue
        said = (str(tensor.get("Format/Datatype") or tensor.get("Datatype") or "").lower() for tensor in layer.get("Inputs", []))
        precision = next((name for words in said for name, pattern in _WORDS if re.search(pattern, words)), None)
        if precision:
            found.setdefault(str(layer.get("LayerType", "?")).lower(), Counter())[precision] += 1
    return {kind: dict(counts) for kind, counts in sorted(found.items())}

"""The architectures by the name that a recipe gives: one network a file, imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from drive_seg.errors import UsageError
from drive_seg.lab.models.staged import Staged

ARCHITECTURES = {  # name: (module, network class)
    "deeplab": ("deeplab", "DeepLab"),
    "efficientnet_lite": ("efficientnet_lite", "EfficientNetLite"),
    "efficientnet_lite_single": ("efficientnet_lite", "EfficientNetLiteSingle"),
    "fcn32s": ("fcn", "FCN32s"),
    "fcn16s": ("fcn", "FCN16s"),
    "fcn8s": ("fcn", "FCN8s"),
    "unet": ("unet", "UNet"),
    "segnet": ("segnet", "SegNet"),
    "deeplabv3": ("deeplabv3", "DeepLabV3"),
    "deeplabv3plus": ("deeplabv3plus", "DeepLabV3Plus"),
    "ksac": ("ksac", "KSAC"),
    "gcn": ("gcn", "GCN"),
    "erfnet": ("erfnet", "ERFNet"),
    "enet": ("enet", "ENet"),
}


def make_network(architecture: str, classes: int, overrides: Mapping[str, Any]) -> Staged:
    """The named network with random weights. Raises UsageError for an architecture or a number of it that is not known."""
    if architecture not in ARCHITECTURES:
        raise UsageError(f"{architecture}: no such architecture; there are {', '.join(ARCHITECTURES)}")
    module, network = ARCHITECTURES[architecture]
    made: type[Staged] = getattr(import_module(f"drive_seg.lab.models.{module}"), network)
    usual = made.made_of[0]()
    if broken := [name for name, value in overrides.items() if value != int(value) and isinstance(getattr(usual, name, 0), int)]:
        raise UsageError(f"{architecture}: {', '.join(broken)}: has to be a whole number")
    try:
        config = made.made_of[0](**({"classes": classes} | dict(overrides)))
    except TypeError as error:
        raise UsageError(f"{architecture}: {str(error).partition(') ')[2] or error}; see drive_seg/lab/models/{module}.py") from error
    return made(config)

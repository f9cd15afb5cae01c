"""The architectures by the name that a recipe gives: one network a file, imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from drive_seg.errors import UsageError
from drive_seg.lab.models.staged import Staged

ARCHITECTURES = {  # name: (module, network class, its configuration)
    "deeplab": ("deeplab", "DeepLab", "DeepLabConfig"),
    "efficientnet_lite": ("efficientnet_lite", "EfficientNetLite", "EfficientNetLiteConfig"),
    "efficientnet_lite_single": ("efficientnet_lite", "EfficientNetLiteSingle", "EfficientNetLiteConfig"),
    "fcn32s": ("fcn", "FCN32s", "FCNConfig"),
    "fcn16s": ("fcn", "FCN16s", "FCNConfig"),
    "fcn8s": ("fcn", "FCN8s", "FCNConfig"),
    "unet": ("unet", "UNet", "UNetConfig"),
    "segnet": ("segnet", "SegNet", "SegNetConfig"),
    "deeplabv3": ("deeplabv3", "DeepLabV3", "DeepLabV3Config"),
    "deeplabv3plus": ("deeplabv3plus", "DeepLabV3Plus", "DeepLabV3PlusConfig"),
    "ksac": ("ksac", "KSAC", "DeepLabV3PlusConfig"),
    "gcn": ("gcn", "GCN", "GCNConfig"),
    "erfnet": ("erfnet", "ERFNet", "ERFNetConfig"),
    "enet": ("enet", "ENet", "ENetConfig"),
}


def make_network(architecture: str, classes: int, overrides: Mapping[str, Any]) -> Staged:
    """The named network with random weights. Raises UsageError for an architecture or a number of it that is not known."""
    if architecture not in ARCHITECTURES:
        raise UsageError(f"{architecture}: no such architecture; there are {', '.join(ARCHITECTURES)}")
    module_name, network, config = ARCHITECTURES[architecture]
    module = import_module(f"drive_seg.lab.models.{module_name}")
    try:
        chosen = getattr(module, config)(**({"classes": classes} | dict(overrides)))
    except TypeError as error:
        raise UsageError(f"{architecture}: {str(error).partition(') ')[2] or error}; see drive_seg/lab/models/{module_name}.py") from error
    made: Staged = getattr(module, network)(chosen)
    return made

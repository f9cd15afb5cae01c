"""A network as a bundle holds it: batch norms folded, its weights in the ONNX files and nowhere else, read back into torch."""

import copy
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from drive_seg.contracts import Array
from drive_seg.errors import BundleError, UsageError
from drive_seg.lab.models import make_network
from drive_seg.lab.models.blocks import Folding
from drive_seg.lab.models.staged import Staged
from drive_seg.network.card import Bundle

HALF = ".fp16"  # ends the name of a weight that is stored as fp16, with a Cast to the weight's own name behind it


def fold_batch_norms(network: Staged) -> Staged:
    """A copy in inference form: every convolution with its batch norm folded in."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        if isinstance(module, Folding):
            module.fold()
    for row, i, conv, norm in list(_rows(folded)):
        row[i], row[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return folded


def _rows(network: nn.Module) -> Iterator[tuple[nn.Sequential, int, nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution with its batch norm behind it: the row in which they stand, the convolution's place there, and both."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i, (conv, norm) in enumerate(pairwise(module)):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    yield module, i, conv, norm


@torch.no_grad()
def read_network(bundle: Bundle) -> Staged:
    """The bundle's network in inference form, with the weights of its float files: fp16 as they are stored, in fp32.

    What is not exported, auxiliary heads, has random weights. Raises BundleError for a network that is not of drive_seg.lab.models.
    """
    about = dict(bundle.card.network)
    try:
        network = fold_batch_norms(make_network(str(about.pop("architecture", None)), len(bundle.card.classes), about))
    except UsageError as error:
        raise BundleError(f"{bundle.folder}: {error}") from error
    wanted, found = dict[int, str](), set[int]()  # by where they are: mid and high share modules, and each file holds what its stage runs
    for name in bundle.card.stages:
        stored = _weights(bundle.onnx(name))
        for key, own in getattr(network, name).state_dict().items():
            if not own.is_floating_point():  # a batch norm's count of batches, which only training reads
                continue
            wanted[own.data_ptr()] = f"{name}.{key}"
            value = stored.get(f"{name}.{key}", stored.get(key))  # the first where the exported stage wraps the network's
            if value is not None and value.size == own.numel():
                own.copy_(torch.from_numpy(value.astype(np.float32)).view(own.shape))
                found.add(own.data_ptr())
    if missing := [name for place, name in wanted.items() if place not in found]:
        raise BundleError(f"{bundle.folder}: its files hold no {missing[0]} as its network has it; export the bundle again")
    return network


@torch.no_grad()
def unfold(network: Staged, bundle: Bundle, images: Tensor) -> None:
    """Gives a network that is to be trained on the bundle's weights: computes the same, with batch norms that have statistics again.

    A convolution keeps the folded weights; its batch norm gets the mean and deviation that the images give its input, as statistics and
    as scale and shift, so that it adds nothing but the folded bias. `images`: uint8 BGR (N, H, W, 3); the more, the truer the statistics.
    Raises BundleError for a bundle of another network, UsageError for an architecture whose batch norms stand apart from convolutions.
    """
    folded = read_network(bundle)
    described = {"architecture": bundle.card.network.get("architecture"), **network.describe()}
    if type(folded) is not type(network) or described != bundle.card.network:
        raise BundleError(
            f"{bundle.folder}: holds {bundle.card.network}, the recipe asks for {described}; give the recipe the same network"
        )
    names, given = {module: name for name, module in network.named_modules()}, dict(folded.named_modules())
    behind = {norm: given[names[conv]].get_parameter("bias") for _, _, conv, norm in _rows(network)}
    if apart := [name for module, name in names.items() if isinstance(module, Folding | nn.BatchNorm2d) and module not in behind]:
        raise UsageError(f"{type(network).__name__} cannot be learned on from a bundle, for its {apart[0]}; begin with its checkpoint")
    for module, name in names.items():
        if module not in behind:
            for key, value in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                value.copy_(given[name].get_parameter(key) if isinstance(value, nn.Parameter) else given[name].get_buffer(key))
    hooks = [norm.register_forward_pre_hook(partial(_take_statistics, bias)) for norm, bias in behind.items()]
    network.eval()(images)
    for hook in hooks:
        hook.remove()


def _take_statistics(bias: Tensor, norm: nn.Module, taken: tuple[Tensor, ...]) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance, mean = torch.var_mean(taken[0].float(), (0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + bias)


def _weights(onnx_path: str) -> dict[str, Array]:
    graph = onnx.load(onnx_path).graph
    stored = {tensor.name.removesuffix(HALF): numpy_helper.to_array(tensor) for tensor in graph.initializer}
    same = {node.output[0]: stored[node.input[0]] for node in graph.node if node.op_type == "Identity" and node.input[0] in stored}
    return stored | same  # equal weights are stored once, such as the zeros of layers that begin as the identity

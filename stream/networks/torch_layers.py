"""A network of torch as a list of layers; dropout is gone, batch normalisation folded in.

Whoever has a module has torch: this reads its attributes and does not import it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.networks import layers
from stream.networks.layers import Layer

Module = Any  # torch.nn.Module
Read = Callable[[Module, str], Layer]


class UnknownLayer(ValueError):
    """A module that no layer stands for, or one in a state in which it cannot be written."""


def read_layers(modules: Iterable[tuple[str, Module]]) -> list[Layer]:
    """Return the layers of modules that follow each other, such as ``sequential.named_children()``.

    Raises:
        UnknownLayer: names the module.
    """
    read: list[Layer] = []
    for name, module in modules:
        kind = type(module).__name__
        if kind.startswith("BatchNorm"):
            read[-1:] = [_fold(read[-1] if read else None, module, name)]
        elif not (kind == "Dropout" or kind == "Identity"):
            read.append(_read(kind, module, name))
    return read


def _read(kind: str, module: Module, name: str) -> Layer:
    if kind not in _READERS:
        known = ", ".join([*_READERS, "BatchNorm", "Dropout", "Identity"])
        raise UnknownLayer(f"{name} is a {kind}; a network may have {known}")
    return _READERS[kind](module, name)


def _fold(before: Layer | None, norm: Module, name: str) -> Layer:
    """Return the layer before a batch normalisation with that inside its weights.

    gamma (Wx + b - m) / sqrt(v + eps) + beta is linear in x. Computed in float64.
    """
    if norm.training:
        raise UnknownLayer(f"{name} still takes its statistics from each batch; call eval() first")
    if before is None or before.operator not in ("Conv", "Gemm"):
        raise UnknownLayer(f"{name} does not follow a convolution or a linear layer")
    (weight_name, weight), (bias_name, bias) = before.weights.items()
    factor = _widen(norm.weight) / np.sqrt(_widen(norm.running_var) + norm.eps)
    shift = _widen(norm.bias) - factor * _widen(norm.running_mean)
    scaled = factor.reshape(-1, *[1] * (weight.ndim - 1)) * weight
    folded = {
        weight_name: scaled.astype(np.float32),
        bias_name: (factor * bias + shift).astype(np.float32),
    }
    return Layer(before.operator, before.output, folded, before.attributes)


def _read_convolution(module: Module, name: str) -> Layer:
    (stride, *_), (padding, *_) = module.stride, module.padding
    plain = module.groups == 1 and set(module.dilation) == {1} and module.padding_mode == "zeros"
    square = len({*module.stride}) == len({*module.padding}) == 1
    if not (plain and square):
        raise UnknownLayer(f"{name} has groups, dilation, other borders or unequal strides")
    weight, bias = _read_weights(module)
    return layers.convolution(name, name, weight, bias, stride=stride, padding=padding)


def _read_linear(module: Module, name: str) -> Layer:
    return layers.linear(name, name, *_read_weights(module))


def _read_weights(module: Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight = _to_array(module.weight)
    bias = np.zeros(len(weight), np.float32) if module.bias is None else _to_array(module.bias)
    return weight, bias


def _read_pool(module: Module, name: str) -> tuple[int, int]:
    size, stride = module.kernel_size, module.stride
    if module.padding or module.ceil_mode or not isinstance(size, int):
        raise UnknownLayer(f"{name} has a border, half windows or windows that are no squares")
    return size, stride


def _read_global_pool(module: Module, name: str) -> Layer:
    if module.output_size not in (1, (1, 1)):
        raise UnknownLayer(f"{name} makes maps of more than one number")
    return layers.global_average_pool(name)


def _read_flatten(module: Module, name: str) -> Layer:
    if (module.start_dim, module.end_dim) != (1, -1):
        raise UnknownLayer(f"{name} does not flatten the whole image")
    return layers.flatten(name)


def _read_softmax(module: Module, name: str) -> Layer:
    if module.dim != 1:
        raise UnknownLayer(f"{name} is not over the classes")
    return layers.softmax(name)


def _read_response_norm(module: Module, name: str) -> Layer:
    if module.size % 2 == 0:
        raise UnknownLayer(f"{name} has a window of {module.size} maps, which has no middle")
    return layers.local_response_norm(
        name, module.size, alpha=module.alpha, beta=module.beta, offset=module.k
    )


def _to_array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array


def _widen(tensor: Any) -> NDArray[np.float64]:
    return _to_array(tensor).astype(np.float64)


_READERS: dict[str, Read] = {
    "Conv2d": _read_convolution,
    "Linear": _read_linear,
    "ReLU": lambda _, name: layers.relu(name),
    "LeakyReLU": lambda module, name: layers.leaky_relu(name, module.negative_slope),
    "Hardtanh": lambda module, name: layers.clip(name, module.min_val, module.max_val),
    "LocalResponseNorm": _read_response_norm,
    "MaxPool2d": lambda module, name: layers.max_pool(name, *_read_pool(module, name)),
    "AvgPool2d": lambda module, name: layers.average_pool(name, *_read_pool(module, name)),
    "AdaptiveAvgPool2d": _read_global_pool,
    "Flatten": _read_flatten,
    "Softmax": _read_softmax,
}

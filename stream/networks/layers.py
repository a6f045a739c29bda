"""The layers that our networks are made of, with their weights in numpy.

Each becomes one ONNX operator; together they are a network, each fed by the one before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of a network.

    Attributes:
        operator: its name in ONNX.
        output: the name of what it gives, unique in its network.
        weights: by name, in the order in which the operator takes them.
        attributes: of the operator.
        other: the output of an earlier layer that it takes beside the one before it.
    """

    operator: str
    output: str
    weights: Mapping[str, Weights] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    other: str | None = None


def convolution(
    output: str, name: str, weight: Weights, bias: Weights, *, stride: int = 1, padding: int = 0
) -> Layer:
    """Correlate maps [N, C, H, W] with kernels [M, C, k, k]: maps [N, M, ...]."""
    strides = {} if stride == 1 else {"strides": [stride] * 2}
    return Layer("Conv", output, _name(name, weight, bias), {"pads": [padding] * 4} | strides)


def linear(output: str, name: str, weight: Weights, bias: Weights) -> Layer:
    """Multiply values [N, D] with a matrix [M, D], and add a bias [M]: values [N, M]."""
    return Layer("Gemm", output, _name(name, weight, bias), {"transB": 1})


def subtract(output: str, name: str, values: Weights) -> Layer:
    """Subtract constants; they are broadcast over the images."""
    return Layer("Sub", output, {name: values})


def divide(output: str, name: str, values: Weights) -> Layer:
    """Divide by constants; they are broadcast over the images."""
    return Layer("Div", output, {name: values})


def relu(output: str) -> Layer:
    """Replace what is below 0 by 0."""
    return Layer("Relu", output)


def leaky_relu(output: str, slope: float) -> Layer:
    """Multiply what is below 0 by ``slope``."""
    return Layer("LeakyRelu", output, attributes={"alpha": float(slope)})


def clip(output: str, low: float, high: float) -> Layer:
    """Replace what is below ``low`` or above ``high`` by these."""
    bounds = {f"{output}.low": np.float32(low), f"{output}.high": np.float32(high)}
    return Layer("Clip", output, {name: np.asarray(bound) for name, bound in bounds.items()})


def local_response_norm(
    output: str, size: int, *, alpha: float = 1e-4, beta: float = 0.75, offset: float = 1.0
) -> Layer:
    """Divide by (offset + alpha / size * sum of squares over ``size`` neighbouring maps) ** beta.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    NIPS 2012, section 3.3, with the sum divided by ``size`` as in torch and ONNX. ``size`` is odd:
    of an even one torch and ONNX take other neighbours.
    """
    factors = {"alpha": alpha, "beta": beta, "bias": offset}
    attributes = {"size": size} | {name: float(value) for name, value in factors.items()}
    return Layer("LRN", output, attributes=attributes)


def max_pool(output: str, size: int, stride: int | None = None) -> Layer:
    """Keep the largest of each square of ``size``; squares lie ``stride`` (or ``size``) apart."""
    return Layer("MaxPool", output, attributes=_squares(size, stride))


def average_pool(output: str, size: int, stride: int | None = None) -> Layer:
    """Average each square of ``size``; squares lie ``stride`` (or ``size``) apart."""
    return Layer("AveragePool", output, attributes=_squares(size, stride))


def global_average_pool(output: str) -> Layer:
    """Average each map: [N, C, H, W] to [N, C, 1, 1]."""
    return Layer("GlobalAveragePool", output)


def flatten(output: str) -> Layer:
    """Write the numbers of an image in a row: [N, ...] to [N, D]."""
    return Layer("Flatten", output)


def normalise(output: str) -> Layer:
    """Divide values [N, D] by their length (L2 norm)."""
    return Layer("LpNormalization", output, attributes={"axis": 1, "p": 2})


def add(output: str, other: str) -> Layer:
    """Add the output of an earlier layer to that of the layer before."""
    return Layer("Add", output, other=other)


def softmax(output: str) -> Layer:
    """Turn logits [N, P] into probabilities."""
    return Layer("Softmax", output, attributes={"axis": 1})


def _name(name: str, weight: Weights, bias: Weights) -> dict[str, Weights]:
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def _squares(size: int, stride: int | None) -> dict[str, list[int]]:
    return {"kernel_shape": [size] * 2, "strides": [stride or size] * 2}

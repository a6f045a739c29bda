"""Edge networks in PyTorch: what a hospital runs on its images, before it is written as ONNX."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from schemas.models.network_manifest import Parameter
from stream.networks.layers import Layer

Shape = tuple[int, ...]


class EdgeConfig(Protocol):
    """The sizes of one network of a family."""

    @property
    def family(self) -> str:
        """The name of the family, as in a manifest."""
        ...

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The sizes of the layers, as in a manifest."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        ...

    @property
    def output_shape(self) -> Shape:
        """Of what the network makes of one image: [D], or maps [C, H, W]."""
        ...

    def build(self) -> "Edge":
        """Return a network of these sizes; its weights are torch's."""
        ...

    def build_decoder(self) -> nn.Module:
        """Return a network that restores images [N, C, H, W] from what this network makes."""
        ...


class Edge(nn.Module, ABC):
    """Images [N, C, H, W] with pixels in 0..1 to values [N, *output_shape].

    Attributes:
        config: its sizes.
        matrices: names of the weights [out, in] that may be stored in one byte each.
    """

    config: EdgeConfig
    matrices: tuple[str, ...] = ()

    @abstractmethod
    def list_layers(self) -> list[Layer]:
        """Return the layers in order; the last makes ``values``."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return values [N, *output_shape] of images [N, C, H, W]."""


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw PyTorch's default uniform weights from the caller's generator; biases become 0.

    Batch normalisation keeps its gains of 1.
    """
    for module in model.modules():
        for weights in module.parameters(recurse=False):
            if weights.dim() > 1:
                nn.init.kaiming_uniform_(weights, a=math.sqrt(5), generator=generator)
            elif not isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                nn.init.zeros_(weights)

"""Edge, exit and main network in one process: what the references train, and one step of each.

The edge is the family ``conv``, the main network is what the server's head ``conv`` trains.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.convolution import ConvolutionConfig

_WIDTHS = (32, 64, 64)


@dataclass(frozen=True)
class Networks:
    """An edge, its local exit, and the network that takes over from the edge at the server."""

    edge: nn.Module
    exit: nn.Module
    main: nn.Module

    @classmethod
    def draw(cls, images: tuple[int, int, int], classes: int, seed: int) -> "Networks":
        """Draw the weights of all parts for images [C, H, W]."""
        config = ConvolutionConfig.choose(images, None)
        shape = config.map_shape
        generator = torch.Generator().manual_seed(seed)
        parts = cls(
            config.build(),
            nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes)),
            build_main(shape, classes),
        )
        for part in (parts.edge, parts.exit, parts.main):
            draw_weights(part, generator)
        return parts


def build_main(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Return a network from maps [N, C, H, W] to logits [N, P]."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for width in _WIDTHS:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


def split_backward(edge: nn.Module, main: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Do one step of split training up to the gradients of both parts; return the loss.

    The server sees the maps only and sends back their gradient; what both parts get is what one
    network of both gets.
    """
    maps = edge(images)
    received = maps.detach().requires_grad_()
    loss = cross_entropy(main(received), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    maps.backward(received.grad)
    return loss.detach()

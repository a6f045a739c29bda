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
from server_classifier.heads.convolution import ConvolutionNetwork
from server_classifier.heads.settings import TrainingSettings


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
            Main(shape, classes),
        )
        for part in (parts.edge, parts.exit, parts.main):
            draw_weights(part, generator)
        return parts


class Main(nn.Module):
    """The network of the server's head ``conv`` on maps [N, C, H, W], without its standardiser."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.layers = ConvolutionNetwork(shape, classes, TrainingSettings().dropout).layers

    def forward(self, maps: Tensor) -> Tensor:
        logits: Tensor = self.layers(maps.flatten(1))
        return logits


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

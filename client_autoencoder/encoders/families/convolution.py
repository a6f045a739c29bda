"""Blocks of convolution, batch normalisation, ReLU and max-pooling: feature maps, or an embedding.

The maps are what a server's network takes over from an edge (seed 001). With an ``embedding`` a
linear layer makes them a few numbers on the unit sphere.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from client_autoencoder.encoders.edge import Edge
from client_autoencoder.errors import ClientError
from schemas.models.network_manifest import NetworkManifest, Parameter
from stream.networks import layers
from stream.networks.layers import Layer
from stream.networks.torch_layers import read_layers

FAMILY = "conv"


@dataclass(frozen=True, slots=True)
class ConvolutionConfig:
    """Sizes of the layers. Image sides are in pixels.

    Attributes:
        maps: of each block.
        blocks: each halves height and width.
        kernel: side of the kernels, odd.
        embedding: numbers on the unit sphere instead of maps; 0 for maps.

    Raises:
        ClientError: the kernel is even, a size is below 1, or the blocks leave no pixel.
    """

    channels: int
    height: int
    width: int
    maps: int = 16
    blocks: int = 2
    kernel: int = 3
    embedding: int = 0

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ClientError(f"kernel {self.kernel} is even; only odd ones keep the image size")
        if min(self.maps, self.blocks, self.kernel) < 1 or self.embedding < 0:
            raise ClientError("maps, blocks and kernel must be 1 or more, embedding 0 or more")
        if min(self.map_shape) < 1:
            raise ClientError(
                f"{self.blocks} blocks leave nothing of an image of {self.height}x{self.width}"
            )

    @classmethod
    def from_manifest(cls, manifest: NetworkManifest) -> "ConvolutionConfig":
        """Return the sizes that a manifest of this family names."""
        named = {name: int(size) for name, size in manifest.family.parameters.items()}
        return cls(*manifest.images.shape, **named)

    @classmethod
    def choose(cls, images: tuple[int, int, int], numbers: int | None) -> "ConvolutionConfig":
        """Return the sizes for images [C, H, W]: maps, or an embedding of ``numbers``."""
        return cls(*images, embedding=numbers or 0)

    @property
    def family(self) -> str:
        """The name in a manifest."""
        return FAMILY

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The sizes of the layers, as in a manifest."""
        return {name: getattr(self, name) for name in ("maps", "blocks", "kernel", "embedding")}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return self.channels, self.height, self.width

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Of the maps behind the last block."""
        return self.maps, self.height >> self.blocks, self.width >> self.blocks

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the maps, or of the embedding."""
        return (self.embedding,) if self.embedding else self.map_shape

    def build(self) -> "ConvolutionEdge":
        """Return a network of these sizes."""
        return ConvolutionEdge(self)

    def build_decoder(self) -> nn.Module:
        """Return a decoder of the maps or the embedding."""
        return MapDecoder(self.output_shape, self.image_shape)


class ConvolutionEdge(Edge):
    """Images [N, C, H, W] to maps [N, M, H / 2^blocks, W / 2^blocks], or to [N, embedding]."""

    def __init__(self, config: ConvolutionConfig) -> None:
        super().__init__()
        self.config = config
        channels, blocks = config.channels, []
        for _ in range(config.blocks):
            padding = config.kernel // 2
            blocks += [
                nn.Conv2d(channels, config.maps, config.kernel, padding=padding, bias=False),
                nn.BatchNorm2d(config.maps),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            channels = config.maps
        self.blocks = nn.Sequential(*blocks)
        self.embedding: nn.Linear | None = None
        if config.embedding:
            self.embedding = nn.Linear(math.prod(config.map_shape), config.embedding)
            self.matrices = ("embedding.weight",)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.blocks(images)
        return maps if self.embedding is None else normalize(self.embedding(maps.flatten(1)))

    def list_layers(self) -> list[Layer]:
        """Return the layers of ``forward``, batch normalisation inside the convolutions.

        Raises:
            UnknownLayer: the network is still in training mode.
        """
        listed = read_layers((f"block{name}", part) for name, part in self.blocks.named_children())
        if self.embedding is not None:
            weight, bias = (values.detach().numpy() for values in self.embedding.parameters())
            listed += [
                layers.flatten("features"),
                layers.linear("embedded", "embedding", weight, bias),
                layers.normalise("normalised"),
            ]
        return listed


class MapDecoder(nn.Module):
    """Values [N, *shape] to images [N, C, H, W], not clamped to 0..1.

    Maps are widened by convolutions between which they are enlarged; an embedding becomes maps by a
    linear layer first.
    """

    def __init__(
        self, shape: tuple[int, ...], images: tuple[int, int, int], width: int = 32
    ) -> None:
        super().__init__()
        channels, *self.sides = images
        maps = len(shape) == 3
        self.maps = shape if maps else (width, *(-(-side // 4) for side in self.sides))
        self.unfold = nn.Identity() if maps else nn.Linear(shape[0], math.prod(self.maps))
        self.first = nn.Conv2d(self.maps[0], width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        x = self.unfold(values).reshape(-1, *self.maps)
        half = [-(-side // 2) for side in self.sides]
        x = interpolate(torch.relu(self.first(x)), half)
        x = interpolate(torch.relu(self.middle(x)), self.sides)
        images: Tensor = self.last(x)
        return images

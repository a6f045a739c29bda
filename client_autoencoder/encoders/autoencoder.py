"""The convolutional autoencoder of Salehinejad et al. (section III-A and figure 2), in PyTorch.

Convolution, max-pooling and a perceptron with one hidden layer make the latent; the decoder does
the reverse. Its output is linear: a sigmoid before the squared loss trains far slower. So pixels
are clamped to 0..1 only when a reconstruction is used.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from client_autoencoder.errors import ClientError


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Sizes of the layers. Image sides are in pixels and may be odd.

    Raises:
        ClientError: the kernel is even, an image side is smaller than the pooling, or a size is 0.
    """

    height: int
    width: int
    latent_dim: int
    maps: int = 8
    kernel: int = 5
    pool: int = 2
    hidden: int = 512

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ClientError(f"kernel {self.kernel} is even; only odd ones keep the image size")
        if min(self.height, self.width) < self.pool:
            raise ClientError(
                f"an image of {self.height}x{self.width} is smaller than the pooling ({self.pool})"
            )
        if min(self.latent_dim, self.maps, self.hidden, self.pool) < 1:
            raise ClientError("latent_dim, maps, hidden and pool must be 1 or more")

    @property
    def sizes(self) -> dict[str, int | float | str]:
        """The sizes of the layers, for a manifest."""
        return {
            "maps": self.maps,
            "kernel": self.kernel,
            "pool": self.pool,
            "hidden": self.hidden,
        }

    @property
    def pooled(self) -> tuple[int, int, int]:
        """Shape of the pooled feature maps: (maps, rows, columns)."""
        return self.maps, self.height // self.pool, self.width // self.pool


class Encoder(nn.Module):
    """Images [N, 1, H, W] with pixels in 0..1 to latents [N, D]."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.pool = config.pool
        self.convolution = nn.Conv2d(1, config.maps, config.kernel, padding=config.kernel // 2)
        self.hidden = nn.Linear(math.prod(config.pooled), config.hidden)
        self.latent = nn.Linear(config.hidden, config.latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(self.convolution(images))  # (1) -> [N, maps, H, W]
        x = functional.max_pool2d(x, self.pool)  # (2) -> [N, maps, H / pool, W / pool]
        x = functional.leaky_relu(self.hidden(x.flatten(1)))  # (3) -> [N, hidden]
        latents: Tensor = self.latent(x)  # -> [N, D]
        return latents


class Decoder(nn.Module):
    """Latents [N, D] to images [N, 1, H, W], not clamped to 0..1."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.pooled = config.pooled
        self.hidden = nn.Linear(config.latent_dim, config.hidden)
        self.maps = nn.Linear(config.hidden, math.prod(config.pooled))
        # rows out = pool * rows in + remainder, so that an odd image side is restored in full
        self.transposed = nn.ConvTranspose2d(
            config.maps,
            1,
            3 * config.pool,
            stride=config.pool,
            padding=config.pool,
            output_padding=(config.height % config.pool, config.width % config.pool),
        )

    def forward(self, latents: Tensor) -> Tensor:
        x = functional.leaky_relu(self.hidden(latents))  # -> [N, hidden]
        x = functional.relu(self.maps(x)).reshape(-1, *self.pooled)  # -> [N, maps, h, w]
        images: Tensor = self.transposed(x)  # -> [N, 1, H, W]
        return images


class Autoencoder(nn.Module):
    """Encoder and decoder, with weights drawn from ``generator``."""

    def __init__(self, config: AutoencoderConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        draw_weights(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        reconstructions: Tensor = self.decoder(self.encoder(images))
        return reconstructions


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw PyTorch's default uniform weights from the caller's generator; biases become 0."""
    for weights in model.parameters():
        if weights.dim() > 1:
            nn.init.kaiming_uniform_(weights, a=math.sqrt(5), generator=generator)
        else:
            nn.init.zeros_(weights)

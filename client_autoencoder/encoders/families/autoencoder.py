"""The convolutional autoencoder of Salehinejad et al. (section III-A and figure 2), in PyTorch.

Convolution, max-pooling and a perceptron with one hidden layer make the latent; the decoder does
the reverse. Its output is linear: a sigmoid before the squared loss trains far slower. So pixels
are clamped to 0..1 only when a reconstruction is used.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from client_autoencoder.encoders.edge import Edge
from client_autoencoder.errors import ClientError
from schemas.models.network_manifest import NetworkManifest, Parameter
from stream.networks import layers
from stream.networks.layers import Layer

FAMILY = "conv-autoencoder"

_LATENT_DIM = 16
_LEAKY_SLOPE = 0.01  # the default of torch's leaky_relu


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

    @classmethod
    def from_manifest(cls, manifest: NetworkManifest) -> "AutoencoderConfig":
        """Return the sizes that a manifest of this family names."""
        images, sizes = manifest.images, manifest.family.parameters
        named = {name: int(size) for name, size in sizes.items()}
        return cls(images.height, images.width, manifest.latent_dim, **named)

    @classmethod
    def choose(cls, images: tuple[int, int, int], numbers: int | None) -> "AutoencoderConfig":
        """Return the paper's sizes for images [1, H, W]; 16 numbers an image unless said."""
        channels, height, width = images
        if channels != 1:
            raise ClientError(f"{FAMILY} takes grey images, not those of {channels} channels")
        return cls(height, width, numbers or _LATENT_DIM)

    @property
    def family(self) -> str:
        """The name in a manifest."""
        return FAMILY

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The sizes of the layers, as in a manifest."""
        return {name: getattr(self, name) for name in ("maps", "kernel", "pool", "hidden")}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """One channel, height and width."""
        return 1, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of one latent."""
        return (self.latent_dim,)

    def build(self) -> "Encoder":
        """Return an encoder of these sizes."""
        return Encoder(self)

    def build_decoder(self) -> "Decoder":
        """Return the decoder that mirrors it."""
        return Decoder(self)

    @property
    def pooled(self) -> tuple[int, int, int]:
        """Shape of the pooled feature maps: (maps, rows, columns)."""
        return self.maps, self.height // self.pool, self.width // self.pool


class Encoder(Edge):
    """Images [N, 1, H, W] with pixels in 0..1 to latents [N, D].

    Of its weights the few hundred of the convolution always stay in four bytes.
    """

    matrices = ("hidden.weight", "latent.weight")

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
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

    def list_layers(self) -> list[Layer]:
        """Return the layers of ``forward``."""
        stored = {name: values.numpy() for name, values in self.state_dict().items()}
        convolution, hidden, latent = (
            (name, stored[f"{name}.weight"], stored[f"{name}.bias"])
            for name in ("convolution", "hidden", "latent")
        )
        return [
            layers.convolution("maps", *convolution, padding=len(convolution[1][0, 0]) // 2),
            layers.relu("active_maps"),
            layers.max_pool("pooled", self.pool),
            layers.flatten("features"),
            layers.linear("units", *hidden),
            layers.leaky_relu("active_units", _LEAKY_SLOPE),
            layers.linear("latents", *latent),
        ]


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

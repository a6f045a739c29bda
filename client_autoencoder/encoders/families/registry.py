"""The families by the names that manifests give them."""

from collections.abc import Callable
from typing import NamedTuple

from client_autoencoder.encoders.edge import EdgeConfig
from client_autoencoder.encoders.families import autoencoder, convolution
from client_autoencoder.errors import ClientError
from schemas.models.network_manifest import NetworkManifest


class Family(NamedTuple):
    """How to find the sizes of a network of a family.

    Attributes:
        read: those that a manifest names.
        choose: those for images [C, H, W], and for so many numbers an image, or the family's own.
    """

    read: Callable[[NetworkManifest], EdgeConfig]
    choose: Callable[[tuple[int, int, int], int | None], EdgeConfig]


FAMILIES: dict[str, Family] = {
    autoencoder.FAMILY: Family(
        autoencoder.AutoencoderConfig.from_manifest, autoencoder.AutoencoderConfig.choose
    ),
    convolution.FAMILY: Family(
        convolution.ConvolutionConfig.from_manifest, convolution.ConvolutionConfig.choose
    ),
}


def find_family(name: str) -> Family:
    """Return the family of a name.

    Raises:
        ClientError: there is none.
    """
    if name not in FAMILIES:
        raise ClientError(f"{name!r} is no family of networks; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def config_of(manifest: NetworkManifest) -> EdgeConfig:
    """Return the layer sizes that a manifest names.

    Raises:
        ClientError: the manifest names an unknown family, or sizes that it does not have.
    """
    name = manifest.family.name
    try:
        return find_family(name).read(manifest)
    except (TypeError, ValueError) as error:
        raise ClientError(f"the sizes of the {name} are wrong: {error}") from error

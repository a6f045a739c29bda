"""The manifest of a network: what it takes and makes, how it was trained, the sums of its files.

A hospital runs an *edge* network on its images; the server's *main* network takes what the edge
makes; a *finish* network, at the hospital again, takes what the main network answers. What used to
be an encoder (``ioa-encoder/1``) is read as an edge, and keeps its id.

``network_id`` is the sha256 of the canonical JSON, so two networks share an id only when they are
the same network. What different edges make must never be mixed; every message names its id, as
``encoderID``.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from schemas.errors import SchemaError
from schemas.models import encoder_manifest
from schemas.models.encoder_manifest import EncoderManifest
from schemas.models.manifest_fields import FileName, Number, Side, Sum, Text, TrainingData
from schemas.models.manifest_json import name_on_wire, read_format, read_manifest, write_manifest
from schemas.vector import Packing

FORMAT: Final = "ioa-network/1"
ONNX = "network.onnx"
EXIT = "exit.onnx"
MOST_VALUES = 1 << 20

Role = Literal["edge", "main", "finish"]
Parameter = int | float | str
Size = Annotated[int, Field(ge=1, le=MOST_VALUES)]
Shape = Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)]


@dataclass(frozen=True, slots=True)
class Family:
    """The layers: the name of a family of networks, and its parameters."""

    name: Text
    parameters: Mapping[Text, Parameter]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The images that an edge takes: [N, channels, height, width].

    Attributes:
        channels: 1 (grey) or 3 (red, green, blue).
        resize: how an image of another size is resized.
        aspect: what becomes of an image of other proportions: it is stretched, padded with black
            to both sides, or cropped in the middle.
        window: the values of the image that become 0 and 1; None for the whole range of its type.
        mean, std: of each channel; pixels in 0..1 become (pixel - mean) / std. None: they stay.
    """

    channels: Literal[1, 3]
    height: Side
    width: Side
    resize: Literal["bilinear", "area"] = "bilinear"
    aspect: Literal["stretch", "pad", "crop"] = "stretch"
    window: tuple[Number, Number] | None = None
    mean: tuple[Number, ...] | None = None
    std: tuple[Number, ...] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return self.channels, self.height, self.width


@dataclass(frozen=True, slots=True)
class TensorInput:
    """What a main or finish network takes: tensors [N, *shape]."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Output:
    """What a network makes, and how it may travel.

    Attributes:
        shape: of what it makes of one image: [D], or maps [C, H, W].
        low, high: the values of the smallest and the largest code of a packing.
        packings: the dtypes in which a message may carry it.
    """

    shape: Shape
    low: Number
    high: Number
    packings: tuple[Packing, ...]


@with_config(ConfigDict(strict=True, extra="forbid", alias_generator=name_on_wire))
@dataclass(frozen=True, slots=True)
class NetworkManifest:
    """One network.

    Attributes:
        role: edge, main or finish.
        objective: what it was trained for, such as ``reconstruction`` or ``exit``.
        scores: how well it does on images that were held out, by name.
        files: file name to sha256; all files that a user of the network needs, and no decoder.
        pairs: ids of the networks that it was trained with.
        labels: of the probabilities that the local exit (``exit.onnx``) gives; None without one.
        format: ``ioa-network/1``, or ``ioa-encoder/1`` for an encoder that was trained before.

    Example:
        >>> from pathlib import Path
        >>> from schemas import NetworkManifest
        >>> manifest = NetworkManifest.from_json(Path("encoder/manifest.json").read_bytes())
        >>> manifest.role, manifest.output.shape
        ('edge', (6,))
    """

    role: Role
    family: Family
    input: ImageInput | TensorInput
    output: Output
    objective: Text
    training_data: TrainingData
    files: dict[FileName, Sum]
    scores: dict[Text, Number] = field(default_factory=dict)
    pairs: tuple[Sum, ...] = ()
    labels: tuple[Text, ...] | None = None
    format: Literal["ioa-network/1", "ioa-encoder/1"] = FORMAT

    @classmethod
    def from_json(cls, text: str | bytes) -> "NetworkManifest":
        """Read a manifest strictly: every field present, none unknown, none twice.

        Raises:
            SchemaError: names the field, as ``output.low``.
        """
        if read_format(text) == encoder_manifest.FORMAT:
            return _from_encoder(EncoderManifest.from_json(text))
        manifest = read_manifest(text, _ADAPTER, FORMAT)
        _check(manifest)
        return manifest

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, ASCII."""
        if self.format == encoder_manifest.FORMAT:
            return _to_encoder(self).to_json()
        fields = asdict(self)
        # The range in float, so that 3 and 3.0 give the same id.
        fields["output"] |= {"low": float(self.output.low), "high": float(self.output.high)}
        return write_manifest(fields, FORMAT)

    @property
    def network_id(self) -> str:
        """The sha256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @property
    def onnx(self) -> str:
        """The name of the file that computes the network."""
        return ONNX if self.format == FORMAT else encoder_manifest.ONNX

    @property
    def images(self) -> ImageInput:
        """The images that an edge takes.

        Raises:
            SchemaError: the network takes tensors.
        """
        if isinstance(self.input, ImageInput):
            return self.input
        raise SchemaError(f"a {self.role} network takes no images", "role")

    @property
    def latent_dim(self) -> int:
        """How many numbers the network makes of one image."""
        return math.prod(self.output.shape)


_ADAPTER = TypeAdapter(NetworkManifest)


def _check(manifest: NetworkManifest) -> None:
    """Refuse what no field alone is wrong in."""
    output, images = manifest.output, isinstance(manifest.input, ImageInput)
    rules = {
        "input": images == (manifest.role == "edge") or "an edge takes images, all others tensors",
        "output.high": output.low < output.high or "is not above low",
        "output.shape": len(output.shape) != 2 or "is neither [D] nor [C, H, W]",
        "output.packings": bool(output.packings) or "names none",
        f"files.{ONNX}": ONNX in manifest.files or "is missing",
        "labels": (manifest.labels is None) == (EXIT not in manifest.files)
        or f"and {EXIT} belong together",
    }
    if "jpeg" in output.packings and len(output.shape) != 3:
        rules["output.packings"] = f"jpeg packs maps [C, H, W], not {list(output.shape)}"
    if math.prod(output.shape) > MOST_VALUES:
        rules["output.shape"] = f"has more than {MOST_VALUES} numbers"
    for name, verdict in rules.items():
        if verdict is not True:
            raise SchemaError(str(verdict), name)
    if isinstance(manifest.input, ImageInput):
        _check_images(manifest.input)


def _check_images(images: ImageInput) -> None:
    if images.window is not None and not images.window[0] < images.window[1]:
        raise SchemaError("does not rise", "input.window")
    if (images.mean is None) != (images.std is None):
        raise SchemaError("and mean belong together", "input.std")
    for name, values in (("mean", images.mean), ("std", images.std)):
        if values is not None and len(values) != images.channels:
            raise SchemaError(f"has {len(values)} numbers, not one a channel", f"input.{name}")
    if images.std is not None and min(images.std) <= 0:
        raise SchemaError("is not above 0", "input.std")


def _from_encoder(encoder: EncoderManifest) -> NetworkManifest:
    """Return what an ``ioa-encoder/1`` says, as an edge."""
    layers, images = asdict(encoder.architecture), encoder.preprocessing
    range_ = encoder.quantiser
    return NetworkManifest(
        role="edge",
        family=Family(layers.pop("name"), layers),
        input=ImageInput(1, images.height, images.width, images.resize),
        output=Output((encoder.latent_dim,), range_.low, range_.high, ("float32", "int8")),
        objective="reconstruction",
        training_data=encoder.training_data,
        files=encoder.files,
        format=encoder_manifest.FORMAT,
    )


def _to_encoder(manifest: NetworkManifest) -> EncoderManifest:
    """Return the ``ioa-encoder/1`` that a manifest was read from."""
    family, output, images = manifest.family, manifest.output, manifest.images
    sizes = {name: int(size) for name, size in family.parameters.items()}
    return EncoderManifest(
        encoder_manifest.Architecture(family.name, **sizes),
        encoder_manifest.Preprocessing(1, images.height, images.width, "bilinear", "0..1"),
        manifest.latent_dim,
        encoder_manifest.QuantiserRange(output.low, output.high, "int8"),
        manifest.training_data,
        manifest.files,
    )

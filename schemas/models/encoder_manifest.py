"""The manifest of an encoder: its layers, its training data, and the sha256 sums of its files.

``encoder_id`` is the sha256 of the canonical JSON, so two encoders share an id only when they are
the same encoder. Latents of different encoders must never be mixed; every message names its id.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config

from schemas.errors import SchemaError
from schemas.models.manifest_json import name_on_wire, read_manifest, write_manifest

FORMAT = "ioa-encoder/1"
Origin = Literal["public", "private"]

_ONNX = "encoder.onnx"
_LONGEST_TEXT = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _check_text(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_TEXT:
        raise ValueError(f"is not a text of 1 to {_LONGEST_TEXT} letters")
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


def _check_sum(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError("is not a sha256 sum of 64 hex digits")
    return text


def _check_file_name(name: str) -> str:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError("is not a plain file name")
    if name.lower().startswith("decoder"):
        raise ValueError("a decoder restores images and is never published")
    return name


Text = Annotated[str, AfterValidator(_check_text)]
Sum = Annotated[str, AfterValidator(_check_sum)]
FileName = Annotated[str, AfterValidator(_check_file_name)]
Side = Annotated[int, Field(ge=1, le=8192)]
Units = Annotated[int, Field(ge=1, le=1 << 20)]
LatentValue = Annotated[float, Field(ge=-1e30, le=1e30)]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The layers: a convolution (maps, kernel), max-pooling, and ``hidden`` perceptron units."""

    name: Text
    maps: Units
    kernel: Side
    pool: Side
    hidden: Units


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The images the encoder takes: [N, channels, height, width], pixels in 0..1."""

    channels: Annotated[int, Field(ge=1, le=1)]
    height: Side
    width: Side
    resize: Literal["bilinear"]
    pixels: Literal["0..1"]


@dataclass(frozen=True, slots=True)
class QuantiserRange:
    """The latent values of the smallest and the largest code."""

    low: LatentValue
    high: LatentValue
    dtype: Literal["int8"]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the encoder was trained on. An encoder of ``private`` images is itself a release."""

    name: Text
    sha256: Sum
    images: Annotated[int, Field(ge=1, le=1 << 62)]
    origin: Origin


@with_config(ConfigDict(strict=True, extra="forbid", alias_generator=name_on_wire))
@dataclass(frozen=True, slots=True)
class EncoderManifest:
    """One encoder. ``files`` maps file name to sha256; a decoder is never among them.

    Example:
        >>> from pathlib import Path
        >>> from schemas import EncoderManifest
        >>> manifest = EncoderManifest.from_json(Path("encoder/manifest.json").read_bytes())
        >>> manifest.height, manifest.width, manifest.latent_dim
        (8, 8, 6)
    """

    architecture: Architecture
    preprocessing: Preprocessing
    latent_dim: Annotated[int, Field(ge=1, le=65536)]
    quantiser: QuantiserRange
    training_data: TrainingData
    files: dict[FileName, Sum]

    @classmethod
    def from_json(cls, text: str | bytes) -> "EncoderManifest":
        """Read a manifest strictly: every field present, none unknown, none twice.

        Raises:
            SchemaError: names the field, as ``quantiser.low``.
        """
        manifest = read_manifest(text, _ADAPTER, FORMAT)
        if not manifest.quantiser.low < manifest.quantiser.high:
            raise SchemaError("is not above low", "quantiser.high")
        if _ONNX not in manifest.files:
            raise SchemaError("is missing", f"files.{_ONNX}")
        return manifest

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, ASCII."""
        fields = asdict(self)
        # The range in float, so that 3 and 3.0 give the same id.
        low, high = float(self.quantiser.low), float(self.quantiser.high)
        fields["quantiser"] |= {"low": low, "high": high}
        return write_manifest(fields, FORMAT)

    @property
    def encoder_id(self) -> str:
        """The sha256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @property
    def height(self) -> int:
        """Image rows the encoder takes, in pixels."""
        return self.preprocessing.height

    @property
    def width(self) -> int:
        """Image columns the encoder takes, in pixels."""
        return self.preprocessing.width


_ADAPTER = TypeAdapter(EncoderManifest)

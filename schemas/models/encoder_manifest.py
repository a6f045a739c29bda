"""The manifest that encoders had before there were other networks: ``ioa-encoder/1``.

It is still read, as a network in the role of an edge; see ``network_manifest``.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config

from schemas.errors import SchemaError
from schemas.models.manifest_fields import FileName, Number, Side, Sum, Text, TrainingData
from schemas.models.manifest_json import name_on_wire, read_manifest, write_manifest

FORMAT: Final = "ioa-encoder/1"
ONNX = "encoder.onnx"
Units = Annotated[int, Field(ge=1, le=1 << 20)]


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

    low: Number
    high: Number
    dtype: Literal["int8"]


@with_config(ConfigDict(strict=True, extra="forbid", alias_generator=name_on_wire))
@dataclass(frozen=True, slots=True)
class EncoderManifest:
    """One encoder. ``files`` maps file name to sha256; a decoder is never among them."""

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
        if ONNX not in manifest.files:
            raise SchemaError("is missing", f"files.{ONNX}")
        return manifest

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, ASCII."""
        fields = asdict(self)
        # The range in float, so that 3 and 3.0 give the same id.
        low, high = float(self.quantiser.low), float(self.quantiser.high)
        fields["quantiser"] |= {"low": low, "high": high}
        return write_manifest(fields, FORMAT)


_ADAPTER = TypeAdapter(EncoderManifest)

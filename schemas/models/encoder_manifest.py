"""The manifest of an encoder: what it is, what it was trained on, and the sums of its files.

``encoder_id`` is the sha256 of the canonical JSON, so two encoders share an id only when they are
the same encoder. Latents of different encoders must never be mixed; every message names its id.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from schemas.errors import SchemaError

FORMAT = "ioa-encoder/1"
Origin = Literal["public", "private"]

_LARGEST_SIDE = 8192
_LARGEST_LATENT = 65536
_LARGEST_LAYER = 1 << 20
_LARGEST_VALUE = 1e30
_LONGEST_NAME = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Architecture:
    """The layers: a convolution (maps, kernel), max-pooling, and ``hidden`` perceptron units."""

    name: str
    maps: int
    kernel: int
    pool: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The images the encoder takes: [N, channels, height, width], pixels in 0..1."""

    channels: int
    height: int
    width: int
    resize: str = "bilinear"
    pixels: str = "0..1"


@dataclass(frozen=True, slots=True)
class QuantiserRange:
    """The latent values of the smallest and the largest code."""

    low: float
    high: float
    dtype: str = "int8"


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What the encoder was trained on. An encoder of ``private`` images is itself a release."""

    name: str
    sha256: str
    images: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class EncoderManifest:
    """One encoder. ``files`` maps file name to sha256; a decoder is never among them."""

    architecture: Architecture
    preprocessing: Preprocessing
    latent_dim: int
    quantiser: QuantiserRange
    training_data: TrainingData
    files: dict[str, str]

    @classmethod
    def from_json(cls, text: str | bytes) -> "EncoderManifest":
        """Read a manifest strictly: every field present, none unknown, none twice.

        Raises:
            SchemaError: names the field, as ``quantiser.low``.
        """
        root = _Fields(_parse(text))
        if (found := root.text("format")) != FORMAT:
            raise SchemaError(f"{found!r} is not {FORMAT!r}", "format")
        manifest = cls(
            architecture=_architecture(root.object("architecture")),
            preprocessing=_preprocessing(root.object("preprocessing")),
            latent_dim=root.integer("latentDim", _LARGEST_LATENT),
            quantiser=_quantiser(root.object("quantiser")),
            training_data=_training_data(root.object("trainingData")),
            files=_files(root.object("files")),
        )
        root.close()
        return manifest

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces, ASCII."""
        return json.dumps(self._document(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def _document(self) -> dict[str, Any]:
        low, high = float(self.quantiser.low), float(self.quantiser.high)  # 3 and 3.0 are one id
        return {
            "format": FORMAT,
            "architecture": asdict(self.architecture),
            "preprocessing": asdict(self.preprocessing),
            "latentDim": self.latent_dim,
            "quantiser": {"dtype": self.quantiser.dtype, "low": low, "high": high},
            "trainingData": asdict(self.training_data),
            "files": self.files,
        }

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


class _Fields:
    """A JSON object whose fields are taken one by one; what is left at ``close`` is unknown."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise SchemaError("is not a JSON object", path or None)
        self._left = dict(value)
        self._path = path

    def name(self, field: str) -> str:
        return f"{self._path}.{field}" if self._path else field

    def names(self) -> list[str]:
        return list(self._left)

    def take(self, field: str) -> object:
        if field not in self._left:
            raise SchemaError("is missing", self.name(field))
        return self._left.pop(field)

    def object(self, field: str) -> "_Fields":
        return _Fields(self.take(field), self.name(field))

    def text(self, field: str) -> str:
        value = self.take(field)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME:
            raise SchemaError(f"is not a text of 1 to {_LONGEST_NAME} letters", self.name(field))
        if not value.isprintable():
            raise SchemaError("holds a control character", self.name(field))
        return value

    def choice(self, field: str, *allowed: str) -> str:
        if (value := self.text(field)) not in allowed:
            raise SchemaError(f"{value!r} is not {' or '.join(allowed)}", self.name(field))
        return value

    def integer(self, field: str, most: int) -> int:
        value = self.take(field)
        if type(value) is not int or not 1 <= value <= most:
            raise SchemaError(f"is not a whole number of 1 to {most}", self.name(field))
        return value

    def number(self, field: str) -> float:
        value = self.take(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SchemaError("is not a number", self.name(field))
        if not abs(value) <= _LARGEST_VALUE:
            raise SchemaError(f"is not within +-{_LARGEST_VALUE:g}", self.name(field))
        return float(value)

    def sha256(self, field: str) -> str:
        value = self.take(field)
        if not isinstance(value, str) or not _SHA256.fullmatch(value):
            raise SchemaError("is not a sha256 sum of 64 hex digits", self.name(field))
        return value

    def close(self) -> None:
        if self._left:
            raise SchemaError(f"is not a field of {FORMAT}", self.name(next(iter(self._left))))


def _parse(text: str | bytes) -> object:
    try:
        return json.loads(text, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"the manifest is not JSON: {error}") from error


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise SchemaError("stands twice", name)
        fields[name] = value
    return fields


def _architecture(fields: _Fields) -> Architecture:
    architecture = Architecture(
        name=fields.text("name"),
        maps=fields.integer("maps", _LARGEST_LAYER),
        kernel=fields.integer("kernel", _LARGEST_SIDE),
        pool=fields.integer("pool", _LARGEST_SIDE),
        hidden=fields.integer("hidden", _LARGEST_LAYER),
    )
    fields.close()
    return architecture


def _preprocessing(fields: _Fields) -> Preprocessing:
    preprocessing = Preprocessing(
        channels=fields.integer("channels", 1),
        height=fields.integer("height", _LARGEST_SIDE),
        width=fields.integer("width", _LARGEST_SIDE),
        resize=fields.choice("resize", "bilinear"),
        pixels=fields.choice("pixels", "0..1"),
    )
    fields.close()
    return preprocessing


def _quantiser(fields: _Fields) -> QuantiserRange:
    dtype = fields.choice("dtype", "int8")
    quantiser = QuantiserRange(fields.number("low"), fields.number("high"), dtype)
    if not quantiser.low < quantiser.high:
        raise SchemaError("is not above low", fields.name("high"))
    fields.close()
    return quantiser


def _training_data(fields: _Fields) -> TrainingData:
    training_data = TrainingData(
        name=fields.text("name"),
        sha256=fields.sha256("sha256"),
        images=fields.integer("images", 1 << 62),
        origin=_origin(fields),
    )
    fields.close()
    return training_data


def _origin(fields: _Fields) -> Origin:
    value = fields.choice("origin", *get_args(Origin))
    return "public" if value == "public" else "private"


def _files(fields: _Fields) -> dict[str, str]:
    for name in fields.names():
        if not _FILE_NAME.fullmatch(name):
            raise SchemaError("is not a plain file name", fields.name(name))
        if name.lower().startswith("decoder"):
            raise SchemaError("a decoder restores images and is never published", fields.name(name))
    files = {name: fields.sha256(name) for name in fields.names()}
    if "encoder.onnx" not in files:
        raise SchemaError("is missing", fields.name("encoder.onnx"))
    return files

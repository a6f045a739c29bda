"""What is written beside a classifier's ONNX file: its labels, and how it came about."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from schemas.errors import SchemaError

FORMAT = "ioa-classifier/1"


@dataclass(frozen=True, slots=True)
class ClassifierManifest:
    """One trained classifier; rows and seed tell how to train the same again.

    Attributes:
        encoder_id: the encoder whose latents it takes.
        labels: of the outputs, in their order.
        rows: latents it was trained on.
        available: latents there were; more than ``rows`` where a draw was made.
        last_latent_id: the newest of them in the database.
        seed: of initial weights, order, dropout and draw.
        settings: the ``TrainingSettings``.
        versions: of the packages that decide the result.
        epochs: passes over the latents.
        loss: mean cross-entropy of the last epoch, in nats.
        seconds: duration of the training.
        sha256: of the ONNX file, in hex.
    """

    encoder_id: str
    labels: tuple[str, ...]
    latent_dim: int
    rows: int
    available: int
    last_latent_id: int
    seed: int
    settings: dict[str, Any]
    versions: dict[str, str]
    epochs: int
    loss: float
    seconds: float
    sha256: str

    def to_json(self) -> str:
        """Return canonical JSON: sorted keys, no spaces."""
        document = {"format": FORMAT} | {_wire_name(k): v for k, v in asdict(self).items()}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ClassifierManifest":
        """Read what ``to_json`` wrote.

        Raises:
            SchemaError: the format is another one, or a field is missing.
        """
        document = json.loads(text)
        if document.get("format") != FORMAT:
            raise SchemaError(f"a classifier of format {document.get('format')!r}, not {FORMAT!r}")
        try:
            values = {field.name: document[_wire_name(field.name)] for field in fields(cls)}
        except KeyError as error:
            raise SchemaError(f"the manifest of a classifier lacks the field {error}") from error
        return cls(**values | {"labels": tuple(values["labels"])})


def _wire_name(name: str) -> str:
    """Return ``last_latent_id`` as ``lastLatentID``."""
    first, *rest = name.split("_")
    return first + "".join("ID" if word == "id" else word.capitalize() for word in rest)

"""The manifest of a classifier: its labels, and how it was trained. Kept beside its ONNX file."""

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config

from schemas.models.manifest_json import name_on_wire, read_manifest, write_manifest

FORMAT = "ioa-classifier/1"


@with_config(ConfigDict(strict=True, alias_generator=name_on_wire))
@dataclass(frozen=True, slots=True)
class ClassifierManifest:
    """One trained classifier. With rows, seed and settings the same one can be trained again.

    Attributes:
        encoder_id: the encoder whose latents it takes.
        labels: of the outputs, in their order.
        latent_dim: the numbers of a latent.
        rows: latents it was trained on.
        available: latents in the database; more than ``rows`` if a sample was drawn.
        last_latent_id: the newest of them in the database.
        seed: of initial weights, order, dropout and sample.
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
        """Return canonical JSON: sorted keys, no spaces, ASCII."""
        return write_manifest(asdict(self), FORMAT)

    @classmethod
    def from_json(cls, text: str) -> "ClassifierManifest":
        """Read what ``to_json`` wrote.

        Raises:
            SchemaError: the format is another one, or names the field at fault.
        """
        return read_manifest(text, _ADAPTER, FORMAT)


_ADAPTER = TypeAdapter(ClassifierManifest)

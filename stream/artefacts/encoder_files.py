"""The files of an encoder on disk, checked against the sums in its manifest before use."""

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SchemaError
from schemas.models.encoder_manifest import EncoderManifest
from stream.artefacts.checksums import ArtefactError, check_sum

MANIFEST = "manifest.json"
ONNX = "encoder.onnx"


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """A checked encoder directory. Only the files that the manifest names have been checked.

    Of those, only the ONNX file is sure to be there: clients need no other.
    """

    directory: Path
    manifest: EncoderManifest

    @property
    def onnx(self) -> Path:
        """The encoder as ONNX Runtime loads it: images [N, 1, H, W] to latents [N, D]."""
        return self.directory / ONNX


def read_encoder(directory: Path) -> EncoderFiles:
    """Read the manifest in ``directory`` and check the sha256 of every file it names.

    Of these only the ONNX file must be there.

    Raises:
        ArtefactError: names the file and, where they differ, the expected and the actual sum.
    """
    manifest = _read_manifest(directory / MANIFEST)
    for name, expected in manifest.files.items():
        if name == ONNX or (directory / name).exists():
            check_sum(directory / name, expected)
    return EncoderFiles(directory, manifest)


def _read_manifest(path: Path) -> EncoderManifest:
    try:
        return EncoderManifest.from_json(path.read_bytes())
    except OSError as error:
        raise ArtefactError(
            f"{path.parent} is not an encoder: {path.name} cannot be read ({error.strerror}); "
            "name a directory written by 'ioa encoder train'"
        ) from error
    except SchemaError as error:
        raise ArtefactError(f"{path} is not a valid manifest: {error}") from error

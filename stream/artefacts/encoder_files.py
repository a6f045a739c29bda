"""The files of an encoder on disk, checked against the sums in its manifest before they are loaded.

* ArtefactError
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SchemaError
from schemas.models.encoder_manifest import EncoderManifest
from stream.errors import StreamError

MANIFEST = "manifest.json"
ONNX = "encoder.onnx"


class ArtefactError(StreamError):
    """A file of an encoder is missing, unreadable, or not the file its manifest names."""


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """A checked encoder directory. Only the files the manifest names have been checked.

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
        ArtefactError: names the file and, where they differ, the expected and the found sum.
    """
    manifest = _read_manifest(directory / MANIFEST)
    for name, expected in manifest.files.items():
        if name == ONNX or (directory / name).exists():
            check_sum(directory / name, expected)
    return EncoderFiles(directory, manifest)


def check_sum(path: Path, expected: str) -> None:
    """Compare the sha256 of a file with ``expected`` (hex).

    Raises:
        ArtefactError: they differ, or the file cannot be read.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ArtefactError(
            f"{path} is named by {MANIFEST} but cannot be read: {error.strerror}; "
            "copy the whole encoder directory again"
        ) from error
    if found != expected:
        raise ArtefactError(
            f"{path} is not the file its manifest names: expected sha256 {expected}, "
            f"found {found}; copy the whole encoder directory again"
        )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex, reading it in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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

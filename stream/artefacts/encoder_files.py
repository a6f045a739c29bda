"""The files of an encoder on disk, checked against the sums in its manifest before use."""

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import SchemaError
from schemas.models.network_manifest import EXIT, NetworkManifest
from stream.artefacts.checksums import ArtefactError, check_sum
from stream.artefacts.onnx_references import refers_to_files

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class EncoderFiles:
    """A checked encoder directory. Only the files that the manifest names have been checked.

    Of those, only the ONNX files are sure to be there: clients need no other.
    """

    directory: Path
    manifest: NetworkManifest

    @property
    def onnx(self) -> Path:
        """The encoder as ONNX Runtime loads it: images [N, C, H, W] to values [N, *shape]."""
        return self.directory / self.manifest.onnx

    @property
    def exit(self) -> Path | None:
        """The local exit as ONNX Runtime loads it: values [N, *shape] to probabilities [N, P]."""
        return None if self.manifest.labels is None else self.directory / EXIT


def read_encoder(directory: Path) -> EncoderFiles:
    """Read the manifest in ``directory`` and check the sha256 of every file it names.

    Of these only the ONNX files must be there.

    Raises:
        ArtefactError: names the file and, where they differ, the expected and the actual sum; or
            an ONNX file refers to others, which no sum would cover.
    """
    manifest = _read_manifest(directory / MANIFEST)
    for name, expected in manifest.files.items():
        if name in (manifest.onnx, EXIT) or (directory / name).exists():
            check_sum(directory / name, expected)
    files = EncoderFiles(directory, manifest)
    for onnx in (files.onnx, files.exit):
        if onnx is not None:
            _refuse_references(onnx)
    return files


def _refuse_references(onnx: Path) -> None:
    try:
        refers = refers_to_files(onnx.read_bytes())
    except ValueError as error:
        raise ArtefactError(f"{onnx} is no ONNX file: {error}") from error
    if refers:
        raise ArtefactError(
            f"{onnx} keeps values in another file, which its manifest does not cover; save the "
            "network with all values in one file (in onnx: save_as_external_data=False)"
        )


def _read_manifest(path: Path) -> NetworkManifest:
    try:
        return NetworkManifest.from_json(path.read_bytes())
    except OSError as error:
        raise ArtefactError(
            f"{path.parent} is not an encoder: {path.name} cannot be read ({error.strerror}); "
            "name a directory written by 'ioa encoder train'"
        ) from error
    except SchemaError as error:
        raise ArtefactError(f"{path} is not a valid manifest: {error}") from error

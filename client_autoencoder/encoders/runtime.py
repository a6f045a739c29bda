"""The encoder as a client runs it: images to latents on ONNX Runtime, without PyTorch."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from schemas.models.network_manifest import NetworkManifest
from stream.artefacts.encoder_files import EncoderFiles, read_encoder

Shape = tuple[int, ...]

BATCH = 64  # larger batches are no faster and take more memory


class Encoder:
    """A checked encoder that is ready to encode. Use ``Encoder.load``.

    Attributes:
        encoder_id: the sha256 that every message made with this encoder carries.
    """

    def __init__(self, files: EncoderFiles, threads: int = 1) -> None:
        self.manifest: NetworkManifest = files.manifest
        self.encoder_id = files.manifest.network_id
        images, values = files.manifest.images.shape, files.manifest.output.shape
        labels = (len(files.manifest.labels or ()),)
        self._session = _open_session(files.onnx, threads, ("images", images), values)
        self._exit = (
            None
            if files.exit is None
            else _open_session(files.exit, threads, ("values", values), labels)
        )

    @classmethod
    def load(cls, directory: Path, threads: int = 1) -> "Encoder":
        """Check the files of an encoder directory, then load the encoder on ``threads`` threads.

        Raises:
            ArtefactError: a file is missing, or is not the one that the manifest names.
            ClientError: ONNX Runtime cannot load the encoder, or its shapes are not those of the
                manifest.
        """
        return cls(read_encoder(directory), threads)

    def encode(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode images [N, C, H, W] with pixels in 0..1 to values [N, *shape], such as [N, D].

        Raises:
            ClientError: the images are not of the encoder's size.
        """
        self._check_shape(images)
        values = np.empty((len(images), *self.manifest.output.shape), np.float32)
        for start in range(0, len(images), BATCH):
            batch = self._normalise(images[start : start + BATCH])
            values[start : start + BATCH] = self._session.run(None, {"images": batch})[0]
        return values

    def exit(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the local exit thinks of values [N, *shape]: probabilities [N, P].

        Raises:
            ClientError: the encoder has no local exit.
        """
        if self._exit is None:
            raise ClientError(f"encoder {self.encoder_id[:12]} has no local exit")
        probabilities: NDArray[np.float32] = self._exit.run(None, {"values": values})[0]
        return probabilities

    def _normalise(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        wanted = self.manifest.images
        if wanted.mean is None or wanted.std is None:
            return images
        mean, std = (np.array(of, np.float32)[:, None, None] for of in (wanted.mean, wanted.std))
        normalised: NDArray[np.float32] = (images - mean) / std
        return normalised

    def _check_shape(self, images: NDArray[np.float32]) -> None:
        expected = self.manifest.images.shape
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.float32:
            raise ClientError(
                f"the encoder takes float32 images of shape [N, {', '.join(map(str, expected))}], "
                f"not {images.dtype} of {list(images.shape)}; resize them first"
            )


def _open_session(
    onnx: Path, threads: int, takes: tuple[str, Shape], makes: Shape
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would take processor time from the Kafka producer in the same process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exception classes are not public
        raise ClientError(
            f"{onnx} cannot be loaded by ONNX Runtime {ort.__version__}: {error}"
        ) from error
    _check_ends(onnx, session, takes, makes)
    return session


def _check_ends(
    onnx: Path, session: ort.InferenceSession, takes: tuple[str, Shape], makes: Shape
) -> None:
    """Compare what a file takes and makes with what its manifest says."""
    (given, *others), made = session.get_inputs(), session.get_outputs()[0]
    found = (given.name, tuple(given.shape[1:])), tuple(made.shape[1:])
    if others or found != (takes, makes):
        raise ClientError(
            f"{onnx} takes {given.name} [N, {_join(given.shape[1:])}] and makes [N, "
            f"{_join(made.shape[1:])}], where its manifest says {takes[0]} [N, {_join(takes[1])}] "
            f"and [N, {_join(makes)}]: file and manifest do not belong together"
        )


def _join(sizes: Iterable[object]) -> str:
    return ", ".join(map(str, sizes))

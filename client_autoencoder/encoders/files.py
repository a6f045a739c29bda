"""A trained autoencoder as files: manifest, safetensors, ONNX, and a report of the training.

A client needs ``manifest.json`` and ``encoder.onnx``; ``encoder.safetensors`` is for PyTorch.
``decoder.safetensors`` restores images from latents: it stays where it was trained. The manifest
does not name it, and it is never published.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from client_autoencoder.encoders.autoencoder import Autoencoder, AutoencoderConfig
from client_autoencoder.encoders.onnx_graph import build_onnx
from client_autoencoder.encoders.training import TrainedAutoencoder
from client_autoencoder.errors import ClientError
from schemas.models.encoder_manifest import (
    Architecture,
    EncoderManifest,
    Preprocessing,
    QuantiserRange,
    TrainingData,
)
from stream.artefacts.atomic_file import replace_atomically
from stream.artefacts.checksums import sha256_of
from stream.artefacts.encoder_files import MANIFEST, ONNX, read_encoder

ARCHITECTURE = "conv-autoencoder"
ENCODER_WEIGHTS = "encoder.safetensors"
DECODER_WEIGHTS = "decoder.safetensors"
REPORT = "training.json"

_QUANTILES = (0.001, 0.999)


def write_encoder(directory: Path, trained: TrainedAutoencoder, data: TrainingData) -> str:
    """Write all files into a new directory, all or none; return the encoder id.

    Raises:
        ClientError: the directory holds files already, or cannot be written.
    """
    check_new_directory(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(directory) as draft:
            draft.mkdir()
            draft.chmod(0o755)  # others may read it, whatever the umask
            manifest = _write_files(draft, trained, data)
    except OSError as error:
        raise ClientError(f"{directory} cannot be written: {error.strerror or error}") from error
    return manifest.encoder_id


def check_new_directory(directory: Path) -> None:
    """Check that an encoder may be written here, into a missing or an empty directory.

    Raises:
        ClientError: the directory holds files already, or is a file.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ClientError(f"{directory} is not empty; name a new directory for the encoder")


def load_autoencoder(directory: Path) -> Autoencoder:
    """Load encoder and decoder into PyTorch; the encoder is checked against its manifest.

    Raises:
        ArtefactError: a file that the manifest names is missing or differs.
        ClientError: the weights are not of this architecture, or the decoder is missing.
    """
    manifest = read_encoder(directory).manifest
    model = Autoencoder(config_of(manifest), torch.Generator())
    try:
        model.encoder.load_state_dict(load_file(directory / ENCODER_WEIGHTS))
        model.decoder.load_state_dict(load_file(directory / DECODER_WEIGHTS))
    except FileNotFoundError as error:
        raise ClientError(
            f"{directory} has no {ENCODER_WEIGHTS} or no {DECODER_WEIGHTS}; decoders stay where "
            "they were trained"
        ) from error
    except RuntimeError as error:
        raise ClientError(f"the weights in {directory} are of another size: {error}") from error
    return model.eval()


def config_of(manifest: EncoderManifest) -> AutoencoderConfig:
    """Return the layer sizes that a manifest names.

    Raises:
        ClientError: the manifest names another architecture.
    """
    architecture = manifest.architecture
    if architecture.name != ARCHITECTURE:
        raise ClientError(f"architecture {architecture.name!r} is not {ARCHITECTURE!r}")
    return AutoencoderConfig(
        height=manifest.height,
        width=manifest.width,
        latent_dim=manifest.latent_dim,
        maps=architecture.maps,
        kernel=architecture.kernel,
        pool=architecture.pool,
        hidden=architecture.hidden,
    )


def _write_files(
    directory: Path, trained: TrainedAutoencoder, data: TrainingData
) -> EncoderManifest:
    model, config = trained.model, trained.model.config
    save_file(model.encoder.state_dict(), directory / ENCODER_WEIGHTS)
    save_file(model.decoder.state_dict(), directory / DECODER_WEIGHTS)
    (directory / ONNX).write_bytes(build_onnx(model.encoder, config, trained.weights))
    (directory / REPORT).write_text(json.dumps(_report(trained), indent=2) + "\n")
    manifest = EncoderManifest(
        architecture=Architecture(
            ARCHITECTURE, config.maps, config.kernel, config.pool, config.hidden
        ),
        preprocessing=Preprocessing(1, config.height, config.width, "bilinear", "0..1"),
        latent_dim=config.latent_dim,
        quantiser=_quantiser_range(trained),
        training_data=data,
        files={name: sha256_of(directory / name) for name in (ONNX, ENCODER_WEIGHTS)},
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return manifest


def _quantiser_range(trained: TrainedAutoencoder) -> QuantiserRange:
    """Return the 0.1 and 99.9 % quantiles of all training latents; outliers do not widen it."""
    low, high = np.quantile(trained.latents.astype(np.float64), _QUANTILES)
    if not low < high:
        raise ClientError("all images give the same latent; train on images that differ")
    return QuantiserRange(float(low), float(high), "int8")


def _report(trained: TrainedAutoencoder) -> dict[str, object]:
    return {
        "scores": asdict(trained.scores),
        "training_images": trained.training_images,
        "held_out_images": trained.held_out_images,
        "epochs": trained.epochs,
        "attempts": trained.attempts,
        "seconds": round(trained.seconds, 2),
        "weights": trained.weights,
        "torch": torch.__version__,
    }

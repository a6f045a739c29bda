"""A trained autoencoder as files: manifest, safetensors, ONNX, and a report of the training.

A client needs ``manifest.json`` and ``network.onnx``; ``network.safetensors`` is for PyTorch.
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
from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import ONNX, Family, ImageInput, NetworkManifest, Output
from stream.artefacts.atomic_file import replace_atomically
from stream.artefacts.checksums import sha256_of
from stream.artefacts.encoder_files import MANIFEST, read_encoder

FAMILY = "conv-autoencoder"
WEIGHTS = "network.safetensors"
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
    return manifest.network_id


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
    (weights,) = (name for name in manifest.files if name.endswith(".safetensors"))
    model = Autoencoder(config_of(manifest), torch.Generator())
    try:
        model.encoder.load_state_dict(load_file(directory / weights))
        model.decoder.load_state_dict(load_file(directory / DECODER_WEIGHTS))
    except FileNotFoundError as error:
        raise ClientError(
            f"{directory} has no {weights} or no {DECODER_WEIGHTS}; decoders stay where "
            "they were trained"
        ) from error
    except RuntimeError as error:
        raise ClientError(f"the weights in {directory} are of another size: {error}") from error
    return model.eval()


def config_of(manifest: NetworkManifest) -> AutoencoderConfig:
    """Return the layer sizes that a manifest names.

    Raises:
        ClientError: the manifest names another architecture.
    """
    family, images = manifest.family, manifest.images
    if family.name != FAMILY:
        raise ClientError(f"the network is of the family {family.name!r}, not {FAMILY!r}")
    sizes = {name: int(size) for name, size in family.parameters.items()}
    return AutoencoderConfig(
        height=images.height, width=images.width, latent_dim=manifest.latent_dim, **sizes
    )


def _write_files(
    directory: Path, trained: TrainedAutoencoder, data: TrainingData
) -> NetworkManifest:
    model, config = trained.model, trained.model.config
    save_file(model.encoder.state_dict(), directory / WEIGHTS)
    save_file(model.decoder.state_dict(), directory / DECODER_WEIGHTS)
    (directory / ONNX).write_bytes(build_onnx(model.encoder, config, trained.weights))
    (directory / REPORT).write_text(json.dumps(_report(trained), indent=2) + "\n")
    manifest = NetworkManifest(
        role="edge",
        family=Family(FAMILY, config.sizes),
        input=ImageInput(1, config.height, config.width),
        output=Output((config.latent_dim,), *_find_range(trained), ("float32", "int8")),
        objective="reconstruction",
        training_data=data,
        files={name: sha256_of(directory / name) for name in (ONNX, WEIGHTS)},
        scores=asdict(trained.scores),
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return manifest


def _find_range(trained: TrainedAutoencoder) -> tuple[float, float]:
    """Return the 0.1 and 99.9 % quantiles of all training latents; outliers do not widen it."""
    low, high = np.quantile(trained.latents.astype(np.float64), _QUANTILES)
    if not low < high:
        raise ClientError("all images give the same latent; train on images that differ")
    return float(low), float(high)


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

"""A trained edge network as files: manifest, safetensors, ONNX, and a report of the training.

A client needs ``manifest.json``, ``network.onnx`` and, to answer at home, ``exit.onnx``;
``network.safetensors`` is for PyTorch. ``decoder.safetensors`` restores images from what the
network makes: it stays where it was trained. The manifest does not name it, and it is never
published.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from client_autoencoder.encoders.edge import Edge
from client_autoencoder.encoders.families.registry import config_of
from client_autoencoder.encoders.training import TrainedEncoder
from client_autoencoder.errors import ClientError
from schemas.models.manifest_fields import TrainingData
from schemas.models.network_manifest import (
    EXIT,
    ONNX,
    Family,
    ImageInput,
    NetworkManifest,
    Output,
)
from schemas.vector import Packing
from stream.artefacts.atomic_file import replace_atomically
from stream.artefacts.checksums import sha256_of
from stream.artefacts.encoder_files import MANIFEST, read_encoder
from stream.networks import layers
from stream.networks.int8_weights import WeightType
from stream.networks.onnx_file import End, write_onnx
from stream.networks.torch_layers import read_layers

WEIGHTS = "network.safetensors"
DECODER_WEIGHTS = "decoder.safetensors"
REPORT = "training.json"

_QUANTILES = (0.001, 0.999)


def write_encoder(
    directory: Path,
    trained: TrainedEncoder,
    data: TrainingData,
    images: ImageInput | None = None,
) -> str:
    """Write all files into a new directory, all or none; return the encoder id.

    Args:
        images: how images were fitted to the network, where that was done.

    Raises:
        ClientError: the directory holds files already, or cannot be written.
    """
    check_new_directory(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(directory) as draft:
            draft.mkdir()
            draft.chmod(0o755)  # others may read it, whatever the umask
            manifest = _write_files(draft, trained, data, images)
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


def load_edge(directory: Path) -> Edge:
    """Load a network into PyTorch; its files are checked against its manifest.

    Raises:
        ArtefactError: a file that the manifest names is missing or differs.
        ClientError: the weights are missing, or not of this family and size.
    """
    manifest = read_encoder(directory).manifest
    (name,) = (name for name in manifest.files if name.endswith(".safetensors"))
    edge = config_of(manifest).build()
    _load(edge, directory / name)
    return edge


def load_decoder(directory: Path) -> nn.Module:
    """Load the decoder that was trained with a network: values [N, *shape] to images.

    Raises:
        ArtefactError, ClientError: as in ``load_edge``; decoders stay where they were trained.
    """
    decoder = config_of(read_encoder(directory).manifest).build_decoder()
    _load(decoder, directory / DECODER_WEIGHTS)
    return decoder


def _load(network: nn.Module, file: Path) -> None:
    try:
        network.load_state_dict(load_file(file))
    except FileNotFoundError as error:
        raise ClientError(
            f"{file.parent} has no {file.name}; weights may, and decoders do, stay where they "
            "were trained"
        ) from error
    except RuntimeError as error:
        raise ClientError(f"the weights in {file} are of another size: {error}") from error
    network.eval()


def build_onnx(edge: Edge, weights: WeightType) -> bytes:
    """Return the network as ONNX: ``images`` [N, C, H, W] to values [N, *shape], N free.

    The same weights give the same bytes. For int8 they must be rounded before; see ``round_edge``.
    """
    listed = edge.list_layers()
    return write_onnx(
        "encoder",
        listed,
        given=End("images", edge.config.image_shape),
        made=End(listed[-1].output, edge.config.output_shape),
        coded=edge.matrices if weights == "int8" else (),
    )


def _build_exit(local_exit: nn.Module, shape: tuple[int, ...], classes: int) -> bytes:
    """Return the local exit as ONNX: ``values`` [N, *shape] to ``probabilities`` [N, P]."""
    named = ((f"exit{name}", part) for name, part in local_exit.named_children())
    return write_onnx(
        "exit",
        [*read_layers(named), layers.softmax("probabilities")],
        given=End("values", shape),
        made=End("probabilities", (classes,)),
    )


def _write_files(
    directory: Path, trained: TrainedEncoder, data: TrainingData, images: ImageInput | None
) -> NetworkManifest:
    edge, fitted, config = trained.edge, trained.fitted, trained.edge.config
    shape, (channels, height, width) = config.output_shape, config.image_shape
    files = [ONNX, WEIGHTS]
    save_file(edge.state_dict(), directory / WEIGHTS)
    (directory / ONNX).write_bytes(build_onnx(edge, trained.options.weights))
    if fitted.decoder is not None:
        save_file(fitted.decoder.state_dict(), directory / DECODER_WEIGHTS)
    if fitted.exit is not None:
        built = _build_exit(fitted.exit, shape, len(trained.labels))
        (directory / EXIT).write_bytes(built)
        files.append(EXIT)
    (directory / REPORT).write_text(json.dumps(_report(trained), indent=2) + "\n")
    manifest = NetworkManifest(
        role="edge",
        family=Family(config.family, config.parameters),
        input=images or ImageInput(3 if channels == 3 else 1, height, width),
        output=Output(shape, *_find_range(trained), _list_packings(shape)),
        objective=trained.options.objective,
        training_data=data,
        files={name: sha256_of(directory / name) for name in files},
        scores=fitted.scores,
        labels=trained.labels if fitted.exit is not None else None,
    )
    (directory / MANIFEST).write_text(manifest.to_json())
    return manifest


def _list_packings(shape: tuple[int, ...]) -> tuple[Packing, ...]:
    return ("float32", "int8", "int4", "jpeg") if len(shape) == 3 else ("float32", "int8", "int4")


def _find_range(trained: TrainedEncoder) -> tuple[float, float]:
    """Return the 0.1 and 99.9 % quantiles of all training values; outliers do not widen it."""
    low, high = np.quantile(trained.values.astype(np.float64), _QUANTILES)
    if not low < high:
        raise ClientError("all images give the same latent; train on images that differ")
    return float(low), float(high)


def _report(trained: TrainedEncoder) -> dict[str, object]:
    return {
        "objective": trained.options.objective,
        "scores": trained.fitted.scores,
        "training_images": trained.training_images,
        "held_out_images": trained.held_out_images,
        "epochs": trained.epochs,
        "attempts": trained.attempts,
        "seconds": round(trained.seconds, 2),
        "weights": trained.options.weights,
        "torch": torch.__version__,
    }

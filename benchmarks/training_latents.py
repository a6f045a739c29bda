"""Latents of MNIST or of scikit-learn's digits for the benchmark of training.

Our encoder is trained on separate images. If more latents are needed than there are images, copies
of the images follow, moved by up to two pixels.
"""

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import train
from client_autoencoder.images.sets import digest
from schemas.models.manifest_fields import TrainingData

LATENT_DIM = 64

Images = NDArray[np.float32]
Latents = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Images [N, 1, H, W] in 0..1 and their classes, for training and held out."""

    name: str
    public: Images
    images: Images
    targets: Targets
    held_out: Images
    held_out_targets: Targets


def read_pool(data: str | None) -> Pool:
    """Read MNIST from the folder ``data``, or scikit-learn's digits if it is not there."""
    if data is None or not Path(data, "mnist.npz").exists():
        return _cut("digits", *load_digits(return_X_y=True), public=400, held_out=600, side=8)
    arrays = np.load(Path(data, "mnist.npz"))
    images = np.concatenate([arrays["train_images"], arrays["test_images"]])
    targets = np.concatenate([arrays["train_labels"], arrays["test_labels"]])
    return _cut("MNIST", images, targets, public=10_000, held_out=10_000, side=28)


def _cut(
    name: str, images: np.ndarray, targets: np.ndarray, *, public: int, held_out: int, side: int
) -> Pool:
    pixels = (images / images.max()).astype(np.float32).reshape(-1, 1, side, side)
    classes = targets.astype(np.int64)
    public_images, learned, asked = np.split(pixels, [public, len(pixels) - held_out])
    _, learned_targets, asked_targets = np.split(classes, [public, len(classes) - held_out])
    return Pool(name, public_images, learned, learned_targets, asked, asked_targets)


def train_encoder(pool: Pool, folder: Path, *, images: int, epochs: int | None) -> Encoder:
    """Train an encoder on public images and load it as a client does."""
    public = pool.public[:images]
    config = AutoencoderConfig(public.shape[2], public.shape[3], LATENT_DIM)
    generator = torch.Generator().manual_seed(0)
    trained = train(public, config, TrainingOptions(epochs=epochs), generator)
    data = TrainingData(pool.name, digest(public), len(public), "public")
    write_encoder(folder / "encoder", trained, data)
    return Encoder.load(folder / "encoder", threads=2)


def encode_copies(encoder: Encoder, pool: Pool, count: int) -> tuple[Latents, Targets]:
    """Return latents [count, 64] and classes of all images, then of moved copies of them."""
    latents = np.empty((count, LATENT_DIM), np.float32)
    steps = (-2, -1, 0, 1, 2)
    moves = sorted(product(steps, steps), key=lambda move: math.hypot(*move))
    for number, start in enumerate(range(0, count, len(pool.images))):
        images = _move(pool.images[: count - start], moves[number % len(moves)])
        latents[start : start + len(images)] = encoder.encode(images)
    return latents, np.resize(pool.targets, count)


def _move(images: Images, move: tuple[int, int]) -> Images:
    height, width = images.shape[2:]
    down, right = move[0] + 2, move[1] + 2
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return np.ascontiguousarray(padded[:, :, down : down + height, right : right + width])

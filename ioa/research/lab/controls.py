"""What an accuracy is compared with: the server's classifier on other inputs."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.encoders.runtime import Encoder
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit

Values = NDArray[np.float32]


def await_encoder(directory: Path) -> Encoder:
    """Wait until another process has trained it: the directory appears whole, or the run ends."""
    while not directory.exists():
        time.sleep(0.1)
    return Encoder.load(directory)


def flatten(images: Values) -> Values:
    """Return images [N, 1, H, W] as rows of pixels [N, H * W]."""
    return images.reshape(len(images), -1)


def find_hits(
    learned: tuple[Values, Sequence[str | None]],
    asked: tuple[Values, Sequence[str | None]],
    seed: int,
    settings: TrainingSettings | None = None,
) -> NDArray[np.bool_]:
    """Train the server's classifier on values [N, D] and labels; tell where it is right [M].

    Args:
        asked: values [M, D] it has not seen, and their labels.
    """
    values, labels = learned
    names = sorted({str(label) for label in labels})
    targets = np.array([names.index(str(label)) for label in labels], np.int64)
    model, _ = fit(values, targets, seed=seed, settings=settings)
    with torch.no_grad():
        chosen = model(torch.from_numpy(asked[0])).argmax(dim=1).tolist()
    return np.array([names[index] == label for index, label in zip(chosen, asked[1], strict=True)])

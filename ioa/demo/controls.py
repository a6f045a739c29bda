"""What the demo's accuracy is compared with: the same classifier on other inputs.

One client alone shows what learning together adds; raw pixels show what the latents cost or gain.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.encoder import Encoder
from client_autoencoder.images import ImageBatch
from ioa.demo.parts import DemoImages
from schemas.quantiser import dequantise
from server_classifier.classifier import fit


def measure_one_client(images: DemoImages, encoder: Encoder, seed: int) -> float:
    """Return the accuracy on the unseen images of a classifier of one client's latents."""
    first = images.clients[0]
    values = released_latents(encoder, first)
    unseen = released_latents(encoder, images.unseen)
    return measure_accuracy(values, first.labels, unseen, images.unseen.labels, seed)


def measure_pixels(images: DemoImages, seed: int) -> float:
    """Return the accuracy on the unseen images of a classifier of all clients' raw pixels."""
    values = _flatten(np.concatenate([client.images for client in images.clients]))
    labels = [label for client in images.clients for label in client.labels]
    unseen = _flatten(images.unseen.images)
    return measure_accuracy(values, labels, unseen, images.unseen.labels, seed)


def released_latents(encoder: Encoder, images: ImageBatch) -> NDArray[np.float32]:
    """Return the latents [N, D] that a receiver of the messages has: int8 codes mapped back."""
    quantiser = encoder.manifest.quantiser
    codes = encoder.quantise(encoder.encode(images.images))
    return dequantise(codes, quantiser.low, quantiser.high)


def measure_accuracy(
    values: NDArray[np.float32],
    labels: Sequence[str | None],
    unseen_values: NDArray[np.float32],
    unseen_labels: Sequence[str | None],
    seed: int,
) -> float:
    """Train the server's classifier on values [N, D] and return its accuracy on unseen ones."""
    names = sorted({str(label) for label in labels})
    targets = np.array([names.index(str(label)) for label in labels], np.int64)
    model, _ = fit(values, targets, seed=seed)
    with torch.no_grad():
        chosen = model(torch.from_numpy(unseen_values)).argmax(dim=1).tolist()
    hits = [names[index] == label for index, label in zip(chosen, unseen_labels, strict=True)]
    return float(np.mean(hits))


def _flatten(images: NDArray[np.float32]) -> NDArray[np.float32]:
    return images.reshape(len(images), -1)

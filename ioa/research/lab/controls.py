"""What an accuracy is compared with: the server's classifier on other inputs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.files import load_decoder
from client_autoencoder.encoders.fitting import run
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.batches import ImageBatch
from schemas.vector import Packing
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit
from stream.threads import one_thread

Values = NDArray[np.float32]
Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Controls:
    """The server's classifier, trained here on what clients hold and asked about unseen images.

    Attributes:
        learned: the images of each client.
        settings: of the classifier; None for the defaults.
        dtype: how latents travel, int8 or float32.
    """

    learned: Sequence[ImageBatch]
    unseen: ImageBatch
    seed: int
    settings: TrainingSettings | None = None
    dtype: Packing = "int8"

    def classify_pixels(self) -> Hits:
        """Learn from all clients' raw pixels."""
        pixels = [_flatten(client.images) for client in self.learned]
        return self.classify(pixels, _flatten(self.unseen.images))

    def classify_one_client(self, encoder: Encoder) -> Hits:
        """Learn from the latents of the first client alone."""
        latents = released_latents(encoder, self.learned[0].images, self.dtype)
        return self.classify([latents], released_latents(encoder, self.unseen.images, self.dtype))

    def classify(self, values: Sequence[Values], asked: Values) -> Hits:
        """Learn from values [N, D] of the first clients; tell where the answers are right [M]."""
        labels = [label for client in self.learned[: len(values)] for label in client.labels]
        learned = np.concatenate(values), labels
        return find_hits(learned, (asked, self.unseen.labels), self.seed, self.settings)


def await_encoder(directory: Path) -> Encoder:
    """Wait until another process has trained it: the directory appears whole, or the run ends."""
    while not directory.exists():
        time.sleep(0.1)
    return Encoder.load(directory)


def reconstruct(directory: Path, latents: Values) -> Values:
    """Return what an encoder's own decoder makes of latents [N, D]: [N, 1, H, W] in 0..1."""
    decoder = load_decoder(directory)
    with one_thread(torch):
        images: Values = run(decoder, torch.from_numpy(latents)).numpy().clip(0.0, 1.0)
    return images


def find_hits(
    learned: tuple[Values, Sequence[str | None]],
    asked: tuple[Values, Sequence[str | None]],
    seed: int,
    settings: TrainingSettings | None = None,
) -> Hits:
    """Train the server's classifier on values [N, D]; tell where it is right about others [M]."""
    values, labels = learned
    names, targets = np.unique([str(label) for label in labels], return_inverse=True)
    model, _ = fit(values, targets, seed=seed, settings=settings)
    with torch.no_grad():
        chosen = model(torch.from_numpy(asked[0])).argmax(dim=1).tolist()
    return np.array([names[index] == label for index, label in zip(chosen, asked[1], strict=True)])


def _flatten(images: Values) -> Values:
    """Return images [N, 1, H, W] as rows of pixels [N, H * W]."""
    return images.reshape(len(images), -1)

"""The experiment's controls, in a process of its own that runs beside the services.

    python -m ioa.research.papers.one_shot_latents.controls DIRECTORY SEED TRAINING --json

TRAINING is a JSON object of the server's training settings: every control uses the classifier, the
settings, the division and the augmented copies of the experiment. Prints, for each control, where
it was right: a list of 0 and 1 in the order of the unseen images.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.autoencoder import Autoencoder, AutoencoderConfig
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.encoders.training import run
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch, read_batches
from client_autoencoder.images.sources import open_source
from ioa.research.lab.controls import await_encoder, find_hits, flatten
from ioa.research.lab.parts import CLIENTS, read_parts
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.papers.one_shot_latents.services import (
    OWN_ENCODERS,
    client_seed,
    encoder_of_client,
)
from server_classifier.heads.settings import TrainingSettings
from stream.threads import one_thread

Values = NDArray[np.float32]
Labels = list[str | None]


class Controls:
    """What the experiment's accuracy is compared with.

    Args:
        directory: holds the parts; the encoders appear in it.
    """

    def __init__(self, directory: Path, seed: int, settings: TrainingSettings) -> None:
        self._directory = directory
        self._seed = seed
        self._settings = settings
        self._plan = Plan.read(directory)
        self._unseen = read_parts(directory).unseen
        # As the clients make it: with the augmented copies.
        self._learned = [self._read_learned(client) for client in range(1, CLIENTS + 1)]

    def measure(self) -> dict[str, NDArray[np.bool_]]:
        """Return, for each control, where it was right [M]; those without encoder come first."""
        hits = {
            "raw pixels, same classifier": self._classify_pixels(),
            "untrained encoder": self._classify_untrained(),
        }
        (first,) = self._await_encoders(encoder_of_client(self._plan)[:1])
        hits["one client alone"] = self._classify_one_client(first)
        if self._plan.wants_own_encoders:
            hits["own encoders, pooled"] = self._classify_pooled(self._await_encoders(OWN_ENCODERS))
        return hits

    def _read_learned(self, client: int) -> ImageBatch:
        source = open_source(str(self._directory / f"client-{client}.npz"))
        batches = read_batches(source, [])
        rng = np.random.default_rng(client_seed(self._seed, client))
        made = list(augment_batches(batches, self._plan.augment, rng, lambda: ""))
        return ImageBatch(
            np.concatenate([batch.images for batch in made]),
            [label for batch in made for label in batch.labels],
            [name for batch in made for name in batch.names],
        )

    def _classify_pixels(self) -> NDArray[np.bool_]:
        pixels = [flatten(client.images) for client in self._learned]
        return self._classify(pixels, self._learned, flatten(self._unseen.images))

    def _classify_untrained(self) -> NDArray[np.bool_]:
        """Classify float32 latents of an encoder whose weights are as they were drawn."""
        height, width = self._unseen.images.shape[2:]
        config = AutoencoderConfig(height, width, self._plan.latent)
        model = Autoencoder(config, torch.Generator().manual_seed(self._seed)).eval()

        def encode(images: Values) -> Values:
            with one_thread(torch):
                latents: Values = run(model.encoder, torch.from_numpy(images)).numpy()
            return latents

        learned = [encode(client.images) for client in self._learned]
        return self._classify(learned, self._learned, encode(self._unseen.images))

    def _classify_one_client(self, encoder: Encoder) -> NDArray[np.bool_]:
        first = self._learned[:1]
        asked = self._release(encoder, self._unseen.images)
        return self._classify([self._release(encoder, first[0].images)], first, asked)

    def _classify_pooled(self, encoders: list[Encoder]) -> NDArray[np.bool_]:
        """Mix the latents of five own encoders, which the server refuses to do."""
        learned = [
            self._release(encoder, client.images)
            for encoder, client in zip(encoders, self._learned, strict=True)
        ]
        shares = np.array_split(self._unseen.images, CLIENTS)
        asked = [
            self._release(encoder, share) for encoder, share in zip(encoders, shares, strict=True)
        ]
        return self._classify(learned, self._learned, np.concatenate(asked))

    def _release(self, encoder: Encoder, images: Values) -> Values:
        return released_latents(encoder, images, self._plan.dtype)

    def _classify(
        self, values: list[Values], learned: list[ImageBatch], asked: Values
    ) -> NDArray[np.bool_]:
        labels: Labels = [label for client in learned for label in client.labels]
        return find_hits(
            (np.concatenate(values), labels),
            (asked, self._unseen.labels),
            self._seed,
            self._settings,
        )

    def _await_encoders(self, names: list[str]) -> list[Encoder]:
        return [await_encoder(self._directory / name) for name in names]


if __name__ == "__main__":
    os.nice(10)
    settings = TrainingSettings.model_validate_json(sys.argv[3])
    hits = Controls(Path(sys.argv[1]), int(sys.argv[2]), settings).measure()
    print(json.dumps({name: right.astype(int).tolist() for name, right in hits.items()}))

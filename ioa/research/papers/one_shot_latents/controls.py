"""The experiment's controls, in a process of its own that runs beside the services.

    python -m ioa.research.papers.one_shot_latents.controls DIRECTORY SEED TRAINING --json

TRAINING is a JSON object of the server's training settings: every control uses the classifier, the
settings, the division and the augmented copies of the experiment. Prints, for each control, where
it was right: a list of 0 and 1 in the order of the unseen images.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.fitting import run
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch, read_batches
from client_autoencoder.images.sources import open_source
from ioa.research.lab.controls import Controls, Hits, Values, await_encoder
from ioa.research.lab.parts import join, read_parts
from ioa.research.papers.one_shot_latents import services
from ioa.research.papers.one_shot_latents.plan import Plan
from server_classifier.heads.settings import TrainingSettings
from stream.threads import one_thread


def measure(directory: Path, seed: int, settings: TrainingSettings) -> dict[str, Hits]:
    """Return, for each control, where it was right [M]; the encoders appear in ``directory``."""
    plan = Plan.read(directory)
    learned = [_read_learned(directory, plan, seed, n) for n in range(1, plan.clients + 1)]
    controls = Controls(learned, read_parts(directory).unseen, seed, settings, plan.dtype)
    hits = {
        "raw pixels, same classifier": controls.classify_pixels(),
        "untrained encoder": _classify_untrained(controls, plan.latent),
    }
    first = await_encoder(directory / services.encoder_of_client(plan)[0])
    hits["one client alone"] = controls.classify_one_client(first)
    if plan.wants_own_encoders:
        names = services.own_encoders(plan)
        hits["own encoders, pooled"] = _classify_pooled(controls, [directory / n for n in names])
    return hits


def _read_learned(directory: Path, plan: Plan, seed: int, client: int) -> ImageBatch:
    """Read a client's images and make the augmented copies that the client makes."""
    batches = read_batches(open_source(str(directory / f"client-{client}.npz")), [])
    rng = np.random.default_rng(services.client_seed(plan, seed, client))
    return join(list(augment_batches(batches, plan.augment, rng, lambda: "")))


def _classify_untrained(controls: Controls, latent: int) -> Hits:
    """Learn from float32 latents of an encoder that keeps its initial weights."""
    height, width = controls.unseen.images.shape[2:]
    encoder = AutoencoderConfig(height, width, latent).build().eval()
    draw_weights(encoder, torch.Generator().manual_seed(controls.seed))

    def encode(images: Values) -> Values:
        with one_thread(torch):
            latents: Values = run(encoder, torch.from_numpy(images)).numpy()
        return latents

    learned = [encode(client.images) for client in controls.learned]
    return controls.classify(learned, encode(controls.unseen.images))


def _classify_pooled(controls: Controls, directories: list[Path]) -> Hits:
    """Mix the latents of the clients' own encoders, which the server refuses to do."""
    encoders = [await_encoder(directory) for directory in directories]
    shares = np.array_split(controls.unseen.images, len(encoders))

    def release(images: Sequence[Values]) -> list[Values]:
        pairs = zip(encoders, images, strict=True)
        return [released_latents(encoder, own, controls.dtype) for encoder, own in pairs]

    learned = release([client.images for client in controls.learned])
    return controls.classify(learned, np.concatenate(release(shares)))


if __name__ == "__main__":
    os.nice(10)
    settings = TrainingSettings.model_validate_json(sys.argv[3])
    hits = measure(Path(sys.argv[1]), int(sys.argv[2]), settings)
    print(json.dumps({name: right.astype(int).tolist() for name, right in hits.items()}))

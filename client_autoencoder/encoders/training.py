"""Trains an autoencoder: Adam on equation 4 with one learning-rate cycle, on one thread.

The same images, generator seed, torch version and machine type give the same weights, bit by bit.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR

from client_autoencoder.encoders.autoencoder import Autoencoder, AutoencoderConfig
from client_autoencoder.encoders.int8_weights import round_encoder
from client_autoencoder.encoders.reconstruction import Scores, score
from client_autoencoder.errors import ClientError
from client_autoencoder.images.batches import Pixels
from stream.networks.int8_weights import WeightType
from stream.threads import one_thread

_MIN_EPOCHS, _MAX_EPOCHS = 5, 200
_USEFUL_STEPS = 1500  # about 10 epochs of 5,000 images; small sets take more epochs
_BATCH_WITHOUT_GRADIENT = 256

OnEpoch = Callable[[int, int, float], None]
"""Called after each epoch with the number of epochs done, their total, and the mean loss."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How an autoencoder is trained.

    Attributes:
        epochs: passes over the images; None for as many as make about 1,500 steps.
        batch_size: images per step.
        learning_rate: the peak of the cycle.
        held_out: share of the images that are only scored.
        enough_skill: a training that ends below this skill on the held-out images probably got
            stuck, and is repeated with other initial weights.
        attempts: most trainings; the best is kept.
        weights: how the encoder's weights are stored. For int8 they are rounded before the held-out
            images are scored and any latent is made.
    """

    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 3e-3
    held_out: float = 0.1
    enough_skill: float = 0.5
    attempts: int = 3
    weights: WeightType = "int8"

    def epochs_for(self, images: int) -> int:
        """Return the number of epochs for a training set of ``images``."""
        if self.epochs is not None:
            return self.epochs
        useful = math.ceil(_USEFUL_STEPS * self.batch_size / images)
        return min(max(useful, _MIN_EPOCHS), _MAX_EPOCHS)


@dataclass(frozen=True, slots=True)
class TrainedAutoencoder:
    """A model, what it was trained on, and how well it restores held-out images.

    ``latents`` [N, D] are of the training images; ``weights`` says how the encoder's are stored.
    """

    model: Autoencoder
    latents: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    scores: Scores
    training_images: int
    held_out_images: int
    epochs: int
    attempts: int
    seconds: float
    weights: WeightType


def train(
    images: Pixels,
    config: AutoencoderConfig,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None = None,
) -> TrainedAutoencoder:
    """Train on images [N, 1, H, W] in 0..1, and score the share that is held out.

    Args:
        generator: draws the weights, the held-out images and the order of the batches.
        on_epoch: receives the progress; optional.

    Raises:
        ClientError: there are too few images.
    """
    started = time.perf_counter()
    training, held_out = _hold_out(torch.from_numpy(images), options.held_out, generator)
    candidates: list[tuple[Autoencoder, Scores]] = []
    with one_thread(torch):
        while len(candidates) < options.attempts:
            model = Autoencoder(config, generator)
            fit(model, (training, training), options, generator, on_epoch)
            if options.weights == "int8":
                round_encoder(model.encoder)
            restored = run(model, held_out).numpy()
            scores = score(held_out.numpy(), restored, training.mean(dim=0).numpy())
            candidates.append((model, scores))
            if scores.skill >= options.enough_skill:
                break
        model, scores = max(candidates, key=lambda candidate: candidate[1].skill)
        latents = run(model.encoder, training)
    return TrainedAutoencoder(
        model=model,
        latents=latents.numpy(),
        scores=scores,
        training_images=len(training),
        held_out_images=len(held_out),
        epochs=options.epochs_for(len(training)),
        attempts=len(candidates),
        seconds=time.perf_counter() - started,
        weights=options.weights,
    )


def fit(
    model: torch.nn.Module,
    pairs: tuple[Tensor, Tensor],
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: OnEpoch | None = None,
) -> None:
    """Fit ``model(inputs)`` to ``targets`` in mean squared error (equation 4 per pixel).

    Leaves the model in evaluation mode.
    """
    inputs, targets = pairs
    epochs = options.epochs_for(len(inputs))
    steps = math.ceil(len(inputs) / options.batch_size)
    optimizer = Adam(model.parameters(), lr=options.learning_rate, fused=True)
    schedule = OneCycleLR(optimizer, options.learning_rate, total_steps=epochs * steps)
    model.train()
    for epoch in range(1, epochs + 1):
        total = 0.0
        order = torch.randperm(len(inputs), generator=generator)
        for batch in torch.split(order, options.batch_size):
            loss = mse_loss(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        if on_epoch is not None:
            on_epoch(epoch, epochs, total / len(inputs))
    model.eval()


@torch.no_grad()
def run(model: torch.nn.Module, inputs: Tensor) -> Tensor:
    """Return ``model(inputs)`` for any number of inputs, in batches, without gradients."""
    return torch.cat([model(batch) for batch in torch.split(inputs, _BATCH_WITHOUT_GRADIENT)])


def _hold_out(images: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    held_out = max(1, round(share * len(images)))
    if len(images) - held_out < 2:
        raise ClientError(f"{len(images)} images are too few to train an encoder")
    order = torch.randperm(len(images), generator=generator)
    return images[order[held_out:]], images[order[:held_out]]

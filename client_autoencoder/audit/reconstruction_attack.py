"""An attacker who restores images from latents, to measure what a latent gives away.

The attacker has public images and their latents of the same encoder, which anybody who has the
encoder can make, and trains a new decoder on these pairs. Its success is a lower bound on the
leakage: another attacker may do better.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig, Decoder
from client_autoencoder.encoders.fitting import TrainingOptions, fit, run
from client_autoencoder.encoders.reconstruction import Scores, score
from client_autoencoder.images.batches import Pixels
from stream.threads import one_thread

Latents = NDArray[np.float32]

_MIN_SCALE = 1e-6


@dataclass(frozen=True, slots=True)
class AttackReport:
    """Scores of the attacker's images, and of the mean public image in their place as ``floor``."""

    attack: Scores
    floor: Scores


class ReconstructionAttack:
    """A decoder trained on public images and latents. Use ``ReconstructionAttack.train``."""

    def __init__(self, decoder: nn.Module, mean_image: Pixels) -> None:
        self._decoder = decoder
        self._mean_image = mean_image

    @classmethod
    def train(
        cls,
        public_images: Pixels,
        public_latents: Latents,
        generator: torch.Generator,
        options: TrainingOptions | None = None,
    ) -> "ReconstructionAttack":
        """Train on public images [N, 1, H, W] in 0..1 and their latents [N, D].

        Pass latents in the form in which they are released, noise and rounding included.
        """
        latents, images = torch.from_numpy(public_latents), torch.from_numpy(public_images)
        height, width = images.shape[2:]
        decoder = Decoder(AutoencoderConfig(height, width, latents.shape[1]))
        draw_weights(decoder, generator)
        attacker = nn.Sequential(_Standardiser(latents), decoder)
        # Where the caller has switched gradients off, the attack would be silently weak.
        with one_thread(torch), torch.enable_grad():
            fit(attacker, (latents, images), options or TrainingOptions(), generator)
        return cls(attacker, public_images.mean(axis=0))

    def restore(self, latents: Latents) -> Pixels:
        """Return the images [N, 1, H, W] in 0..1 that the decoder makes of latents [N, D]."""
        with one_thread(torch):
            restored: Pixels = run(self._decoder, torch.from_numpy(latents)).numpy()
        return restored.clip(0.0, 1.0)

    def report(self, originals: Pixels, latents: Latents) -> AttackReport:
        """Restore images that the attacker never saw, and score them against the originals."""
        guess = np.broadcast_to(self._mean_image, originals.shape)
        return AttackReport(
            attack=score(originals, self.restore(latents), self._mean_image),
            floor=score(originals, guess, self._mean_image),
        )


class _Standardiser(nn.Module):
    """Standardises latents [N, D]: each number gets mean 0 and standard deviation 1."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, latents: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", latents.mean(dim=0))
        self.register_buffer("scale", latents.std(dim=0).clamp_min(_MIN_SCALE))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return (latents - self.mean) / self.scale

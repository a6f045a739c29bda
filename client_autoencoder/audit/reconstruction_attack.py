"""An attacker who restores images with a decoder, trained on public images and their releases.

Anybody who has the encoder can make these pairs. The decoder is of a plain kind, trained in squared
error within seconds: a few layers for a latent, three convolutions for feature maps. Beside it
stands a linear one, which noise does not deceive; the better counts. Generative models restore
more, maps above all, so that little success here is no proof of protection.
"""

from dataclasses import asdict

import numpy as np
import torch
from torch import nn

from client_autoencoder.audit.attack import Attack, Figures, Known, Values, check_truth
from client_autoencoder.audit.learning import learn
from client_autoencoder.audit.ridge import Ridge
from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig, Decoder
from client_autoencoder.encoders.families.convolution import MapDecoder
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.encoders.reconstruction import score
from client_autoencoder.images.batches import Pixels
from stream.threads import one_thread

_TRUTH = "the images [N, C, H, W] in 0..1"


class ReconstructionAttacker:
    """A trained decoder and a linear one. Use ``fit_reconstruction``."""

    def __init__(self, decoder: nn.Module, linear: nn.Module, mean_image: Pixels) -> None:
        self._decoder = decoder
        self._linear = linear
        self._mean_image = mean_image

    def restore(self, released: Values) -> Pixels:
        """Return the images [N, C, H, W] in 0..1 that the decoder makes of releases."""
        return self._restore(self._decoder, released)

    def score(self, victims: Known) -> Figures:
        """Return mse, psnr_db, ssim and skill of the better decoder, and the skill of each."""
        decoders = {"decoder_skill": self._decoder, "linear_skill": self._linear}
        each = {
            name: score(victims.truth, self._restore(decoder, victims.released), self._mean_image)
            for name, decoder in decoders.items()
        }
        best = max(each.values(), key=lambda scores: scores.skill)
        return {**asdict(best), **{name: scores.skill for name, scores in each.items()}}

    def floor(self, victims: Known) -> Figures:
        """Return the same of the mean public image in place of all; its skill is 0."""
        guess = np.broadcast_to(self._mean_image, victims.truth.shape)
        return asdict(score(victims.truth, guess, self._mean_image))

    def _restore(self, decoder: nn.Module, released: Values) -> Pixels:
        with one_thread(torch):
            restored: Pixels = run(decoder, torch.from_numpy(released)).numpy()
        return restored.reshape(-1, *self._mean_image.shape).clip(0.0, 1.0)


def fit_reconstruction(
    public: Known, generator: torch.Generator, options: TrainingOptions | None = None
) -> ReconstructionAttacker:
    """Train a decoder on public images and their releases, noise and rounding included."""
    check_truth(public, (4,), _TRUTH)
    pairs = torch.from_numpy(public.released), torch.from_numpy(public.truth)
    decoder = _choose_decoder(public.released.shape[1:], public.truth.shape[1:])
    trained = learn(decoder, pairs, options or TrainingOptions(), generator)
    return ReconstructionAttacker(trained, Ridge(*pairs), public.truth.mean(axis=0))


def _choose_decoder(shape: tuple[int, ...], images: tuple[int, ...]) -> nn.Module:
    """Return the paper's decoder for latents of grey images, else one of convolutions."""
    channels, height, width = images
    if len(shape) == 1 and channels == 1:
        return Decoder(AutoencoderConfig(height, width, shape[0]))
    return MapDecoder(shape, (channels, height, width))


RECONSTRUCTION = Attack(fit_reconstruction, truth=_TRUTH, headline="skill")

"""The attacker is strong on plain latents, weak on noise, and never sees the victims."""

import numpy as np
import pytest
import torch

from client_autoencoder.audit.attack import Known
from client_autoencoder.audit.reconstruction_attack import (
    ReconstructionAttacker,
    fit_reconstruction,
)
from client_autoencoder.encoders.edge import draw_weights
from client_autoencoder.encoders.families.convolution import ConvolutionConfig
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.encoders.reconstruction import score
from client_autoencoder.encoders.training import TrainedEncoder
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.privacy.mechanism import GaussianMechanism
from tests.support.images import draw_images

VICTIMS = draw_images(60, side=9, seed=99).images
OPTIONS = TrainingOptions(epochs=60)


def encode(trained: TrainedEncoder, images: np.ndarray) -> np.ndarray:
    return run(trained.edge, torch.from_numpy(images)).numpy()


def attack_with(public: ImageBatch, latents: np.ndarray) -> ReconstructionAttacker:
    generator = torch.Generator().manual_seed(0)
    return fit_reconstruction(Known(latents, public.images), generator, OPTIONS)


def test_plain_latents_are_restored_about_as_well_as_by_the_owner(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    attack = attack_with(public_images, encode(trained, public_images.images))
    victims = Known(encode(trained, VICTIMS), VICTIMS)
    reached, floor = attack.score(victims), attack.floor(victims)
    owner_network = torch.nn.Sequential(trained.edge, trained.fitted.decoder)
    owner = score(
        VICTIMS, run(owner_network, torch.from_numpy(VICTIMS)).numpy(), VICTIMS.mean(axis=0)
    )
    assert reached["psnr_db"] > floor["psnr_db"] + 4
    assert reached["psnr_db"] > owner.psnr_db - 1.5
    assert reached["ssim"] > floor["ssim"] + 0.2
    assert floor["skill"] == pytest.approx(0.0)


def test_noised_latents_give_no_more_than_the_floor(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    noise = np.random.default_rng(0).standard_normal
    mechanism = GaussianMechanism(epsilon=1.0, delta=1e-5, clip=1.0, noise=noise)
    public = mechanism.apply(encode(trained, public_images.images)).values
    victims = Known(mechanism.apply(encode(trained, VICTIMS)).values, VICTIMS)
    attack = attack_with(public_images, public)
    assert attack.score(victims)["psnr_db"] < attack.floor(victims)["psnr_db"] + 1


def test_it_learns_even_where_the_caller_has_switched_gradients_off(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    latents = encode(trained, public_images.images)
    with torch.no_grad():
        attack = attack_with(public_images, latents)
    assert attack.score(Known(encode(trained, VICTIMS), VICTIMS))["skill"] > 0.5


def test_restored_images_are_images(trained: TrainedEncoder, public_images: ImageBatch) -> None:
    attack = attack_with(public_images, encode(trained, public_images.images))
    restored = attack.restore(np.full((4, 6), 50, np.float32))
    assert restored.shape == (4, 1, 9, 9)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_colour_images_are_restored_from_maps_of_any_side() -> None:
    grey = draw_images(300, side=11).images
    images = np.concatenate([grey, grey[:, :, ::-1], grey * 0.5], axis=1)
    edge = ConvolutionConfig(3, 11, 11, maps=12, blocks=1).build()
    draw_weights(edge, torch.Generator().manual_seed(0))
    maps = run(edge.eval(), torch.from_numpy(images)).numpy()
    public, victims = Known(maps[:200], images[:200]), Known(maps[200:], images[200:])
    attack = fit_reconstruction(public, torch.Generator().manual_seed(0), OPTIONS)
    assert attack.restore(victims.released).shape == (100, 3, 11, 11)
    assert attack.score(victims)["skill"] > 0.5


def test_a_number_that_no_public_release_changes_does_not_blind_the_attacker() -> None:
    images = draw_images(200, side=9, seed=1).images
    dead = np.zeros((200, 1), np.float32)
    latents = np.concatenate([images[:, 0, ::3, ::3].reshape(200, -1), dead], axis=1)
    attack = attack_with(draw_images(200, side=9, seed=1), latents)
    restored = attack.restore(latents[:20] + np.float32(0.01) * (np.arange(10) == 9))
    assert np.abs(restored - attack.restore(latents[:20])).max() < 0.1


def test_noise_that_deceives_the_decoder_does_not_make_it_worse_than_a_guess() -> None:
    # A decoder learns the noise of few images by heart; the linear one does not.
    noise = np.random.default_rng(0).standard_normal((160, 20)).astype(np.float32)
    attack = attack_with(draw_images(100, side=9, seed=1), noise[:100])
    reached = attack.score(Known(noise[100:], VICTIMS))
    assert reached["decoder_skill"] < -0.1
    assert reached["skill"] == reached["linear_skill"] > -0.05

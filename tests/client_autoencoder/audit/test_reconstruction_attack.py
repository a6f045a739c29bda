"""The attacker is strong on plain latents, weak on noise, and never sees the victims."""

import numpy as np
import pytest
import torch

from client_autoencoder.audit.reconstruction_attack import ReconstructionAttack
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.encoders.reconstruction import score
from client_autoencoder.encoders.training import TrainedEncoder
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.privacy.mechanism import GaussianPrivatizer
from tests.support.images import draw_images

VICTIMS = draw_images(60, side=9, seed=99).images
OPTIONS = TrainingOptions(epochs=60)


def encode(trained: TrainedEncoder, images: np.ndarray) -> np.ndarray:
    return run(trained.edge, torch.from_numpy(images)).numpy()


def attack_with(public: ImageBatch, latents: np.ndarray) -> ReconstructionAttack:
    generator = torch.Generator().manual_seed(0)
    return ReconstructionAttack.train(public.images, latents, generator, OPTIONS)


def test_plain_latents_are_restored_about_as_well_as_by_the_owner(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    attack = attack_with(public_images, encode(trained, public_images.images))
    report = attack.report(VICTIMS, encode(trained, VICTIMS))
    owner_network = torch.nn.Sequential(trained.edge, trained.fitted.decoder)
    owner = score(
        VICTIMS, run(owner_network, torch.from_numpy(VICTIMS)).numpy(), VICTIMS.mean(axis=0)
    )
    assert report.attack.psnr_db > report.floor.psnr_db + 4
    assert report.attack.psnr_db > owner.psnr_db - 1.5
    assert report.attack.ssim > report.floor.ssim + 0.2
    assert report.floor.skill == pytest.approx(0.0)


def test_noised_latents_give_no_more_than_the_floor(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    noise = np.random.default_rng(0).standard_normal
    privatizer = GaussianPrivatizer(epsilon=1.0, delta=1e-5, clip=1.0, noise=noise)
    public = privatizer.privatize(encode(trained, public_images.images))
    victims = privatizer.privatize(encode(trained, VICTIMS))
    report = attack_with(public_images, public).report(VICTIMS, victims)
    assert report.attack.psnr_db < report.floor.psnr_db + 1


def test_it_learns_even_where_the_caller_has_switched_gradients_off(
    trained: TrainedEncoder, public_images: ImageBatch
) -> None:
    latents = encode(trained, public_images.images)
    with torch.no_grad():
        attack = attack_with(public_images, latents)
    assert attack.report(VICTIMS, encode(trained, VICTIMS)).attack.skill > 0.5


def test_restored_images_are_images(trained: TrainedEncoder, public_images: ImageBatch) -> None:
    attack = attack_with(public_images, encode(trained, public_images.images))
    restored = attack.restore(np.full((4, 6), 50, np.float32))
    assert restored.shape == (4, 1, 9, 9)
    assert restored.min() >= 0
    assert restored.max() <= 1

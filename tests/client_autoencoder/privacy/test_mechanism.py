"""What leaves a mechanism, and what the message says about it."""

import math

import numpy as np
import pytest

from client_autoencoder.errors import ClientError
from client_autoencoder.privacy.analysis import gaussian_sigma
from client_autoencoder.privacy.mechanism import (
    GaussianMechanism,
    Mechanism,
    NoMechanism,
    system_noise,
)
from schemas.messages.latent import Privacy

LATENTS = np.random.default_rng(0).normal(0, 2, (400, 16)).astype(np.float32)


def no_noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape)


def make(*, noise: object = no_noise, clip: float = 1.0, epsilon: float = 8.0) -> Mechanism:
    return GaussianMechanism(epsilon=epsilon, delta=1e-5, clip=clip, noise=noise)  # type: ignore[arg-type]


def test_none_sends_latents_as_they_are_and_says_so() -> None:
    mechanism = NoMechanism()
    assert np.array_equal(mechanism.apply(LATENTS).values, LATENTS)
    assert mechanism.privacy == Privacy(mechanism="none", guarantee=False)


def test_gaussian_says_what_it_does() -> None:
    sigma = gaussian_sigma(epsilon=8.0, delta=1e-5, sensitivity=3.0)
    assert make(clip=1.5).privacy == Privacy(
        mechanism="gaussian",
        guarantee=False,
        parameters={"clip": 1.5, "sensitivity": 3.0, "sigma": sigma},
        epsilon=8.0,
        delta=1e-5,
        unit="record",
        adjacency="replace-one",
    )


def test_long_latents_are_clipped_and_short_ones_kept() -> None:
    clipped = make(clip=5.0).apply(LATENTS).values
    before, after = np.linalg.norm(LATENTS, axis=1), np.linalg.norm(clipped, axis=1)
    short = before <= 5.0
    assert short.any()
    assert not short.all()
    assert clipped[short] == pytest.approx(LATENTS[short])
    assert after[~short] == pytest.approx(5.0, rel=1e-6)
    cosine = (LATENTS * clipped).sum(axis=1) / before / after
    assert cosine == pytest.approx(1.0, abs=1e-6)


def test_the_noise_has_the_sd_it_says() -> None:
    mechanism = make(noise=np.random.default_rng(1).standard_normal)
    added = mechanism.apply(LATENTS).values - make().apply(LATENTS).values
    assert mechanism.privacy.parameters is not None
    assert added.std() == pytest.approx(mechanism.privacy.parameters["sigma"], rel=0.03)
    assert added.mean() == pytest.approx(0.0, abs=0.05)


def test_every_release_draws_fresh_noise_and_leaves_the_argument() -> None:
    mechanism, latents = make(noise=system_noise), LATENTS.copy()
    first, second = mechanism.apply(latents).values, mechanism.apply(latents).values
    assert not np.isclose(first, second).any(axis=1).all()
    assert np.array_equal(latents, LATENTS)
    assert first.dtype == np.float32


def test_a_zero_latent_is_noised_too() -> None:
    released = make(noise=system_noise).apply(np.zeros((3, 16), np.float32)).values
    assert np.isfinite(released).all()
    assert (released != 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_latent_that_cannot_be_clipped_is_refused(bad: float) -> None:
    latents = LATENTS.copy()
    latents[7, 3] = bad
    with pytest.raises(ClientError, match="NaN or infinite"):
        make().apply(latents)


@pytest.mark.parametrize("clip", [0.0, -1.0, math.inf, math.nan])
def test_clip_has_bounds(clip: float) -> None:
    with pytest.raises(ClientError, match=r"clip .* must be a finite number above 0"):
        make(clip=clip)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.nan])
def test_epsilon_has_bounds(epsilon: float) -> None:
    with pytest.raises(ClientError, match="epsilon"):
        make(epsilon=epsilon)


@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 5), (100_000, 2)])
def test_system_noise_has_the_shape_asked_for(shape: tuple[int, ...]) -> None:
    noise = system_noise(shape)
    assert noise.shape == shape
    assert noise.dtype == np.float64
    assert np.isfinite(noise).all()


def test_system_noise_is_standard_normal() -> None:
    noise = np.sort(system_noise((200_001,)))
    normal = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in noise])
    distance = np.abs(normal - np.arange(len(noise)) / len(noise)).max()
    assert distance < 2.5 / math.sqrt(len(noise))  # Kolmogorov-Smirnov: fails once in 130,000
    columns = system_noise((100_000, 2))
    assert abs((columns[:, 0] * columns[:, 1]).mean()) < 0.02


def test_maps_are_clipped_as_a_whole() -> None:
    maps = LATENTS.reshape(len(LATENTS), 4, -1, 2)
    released = make(clip=5.0).apply(maps).values
    assert released.shape == maps.shape
    whole = make(clip=5.0).apply(LATENTS).values
    assert np.array_equal(released.reshape(LATENTS.shape), whole)


def test_what_is_released_has_nothing_to_undo() -> None:
    for mechanism in (NoMechanism(), make()):
        assert np.array_equal(mechanism.apply(LATENTS).undo(LATENTS), LATENTS)

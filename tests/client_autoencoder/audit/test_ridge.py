"""The linear attacker finds a linear map, and shrinks to the mean as far as the noise demands."""

import numpy as np
import pytest
import torch
from torch import Tensor

from client_autoencoder.audit.ridge import Ridge


def draw(seed: int, noise: float) -> tuple[Tensor, Tensor]:
    """Releases [400, 12] with noise, and values [400, 3, 2] that are linear without it."""
    rng = np.random.default_rng(seed)
    exact = rng.standard_normal((400, 12))
    values = exact @ np.linspace(-1, 1, 72).reshape(12, 6) + 5
    noised = 3 + exact + noise * rng.standard_normal(exact.shape)
    return torch.from_numpy(noised).float(), torch.from_numpy(values.reshape(400, 3, 2)).float()


@pytest.mark.parametrize("noise", [0.0, 1.0, 10.0, 1000.0])
def test_its_error_is_about_the_least_possible(noise: float) -> None:
    released, values = draw(1, noise)
    error = (Ridge(*draw(0, noise))(released) - values.flatten(1)).square().mean()
    share = float(error / values.flatten(1).var(dim=0).mean())
    assert share == pytest.approx(noise**2 / (1 + noise**2), abs=0.05)


def test_fewer_images_than_numbers_are_enough() -> None:
    maps = torch.randn(50, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    values = maps[:, 0, :2]
    predicted = Ridge(maps[:40], values[:40])(maps[40:])
    assert predicted.shape == (10, 16)
    assert torch.isfinite(predicted).all()

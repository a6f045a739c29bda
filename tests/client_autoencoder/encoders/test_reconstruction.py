"""The metrics against values worked out by hand or by the definition's plain loop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from client_autoencoder.encoders.reconstruction import (
    mse_per_image,
    psnr_db_per_image,
    score,
    ssim_per_image,
)
from tests.support.images import draw_images

ORIGINALS = draw_images(12, side=8).images
NOISED = ORIGINALS + np.random.default_rng(0).normal(0, 0.1, ORIGINALS.shape).astype(np.float32)
MEAN_IMAGE = ORIGINALS.mean(axis=0)


def ssim_by_definition(
    x: NDArray[np.float32], y: NDArray[np.float32], rows: int, columns: int
) -> float:
    """SSIM of one image [H, W]: every window in turn, sample covariance (Wang et al. 2004)."""
    values = []
    for top in range(x.shape[0] - rows + 1):
        for left in range(x.shape[1] - columns + 1):
            a = x[top : top + rows, left : left + columns].ravel().astype(np.float64)
            b = y[top : top + rows, left : left + columns].ravel().astype(np.float64)
            (va, cab), (_, vb) = np.cov(a, b)
            numerator = (2 * a.mean() * b.mean() + 1e-4) * (2 * cab + 9e-4)
            values.append(numerator / ((a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(values))


def test_mse_and_psnr_of_a_constant_error() -> None:
    shifted = ORIGINALS + np.float32(0.1)
    assert mse_per_image(ORIGINALS, shifted).mean() == pytest.approx(0.01, rel=1e-5)
    assert psnr_db_per_image(ORIGINALS, shifted).mean() == pytest.approx(20.0, rel=1e-5)


def test_psnr_is_averaged_per_image() -> None:
    restored = ORIGINALS[:2] + np.array([0.1, 0.01], np.float32).reshape(2, 1, 1, 1)
    assert psnr_db_per_image(ORIGINALS[:2], restored).mean() == pytest.approx(30.0, rel=1e-4)


@pytest.mark.parametrize(("side", "rows"), [(8, 7), (28, 7), (7, 7), (6, 5), (5, 5)])
def test_ssim_is_that_of_the_definition(side: int, rows: int) -> None:
    originals = draw_images(4, side=side).images
    noise = np.random.default_rng(1).normal(0, 0.2, originals.shape).astype(np.float32)
    restored = originals + noise
    expected = [
        ssim_by_definition(x[0], y[0], rows, rows) for x, y in zip(originals, restored, strict=True)
    ]
    assert ssim_per_image(originals, restored).mean() == pytest.approx(np.mean(expected), abs=1e-9)


def test_a_copy_is_perfect() -> None:
    scores = score(ORIGINALS, ORIGINALS, MEAN_IMAGE)
    assert (scores.mse, scores.psnr_db, scores.skill) == (0.0, 100.0, 1.0)
    assert scores.ssim == pytest.approx(1.0)


def test_the_mean_image_has_no_skill() -> None:
    guess = np.broadcast_to(MEAN_IMAGE, ORIGINALS.shape)
    assert score(ORIGINALS, guess, MEAN_IMAGE).skill == pytest.approx(0.0, abs=1e-9)
    assert 0.0 < score(ORIGINALS, NOISED, MEAN_IMAGE).skill < 1.0


def test_restored_pixels_are_clamped_before_scoring() -> None:
    white = np.ones((1, 1, 8, 8), np.float32)
    assert score(white, white * 5, MEAN_IMAGE).mse == 0.0


def test_one_column_images_have_an_ssim() -> None:
    line = np.linspace(0, 1, 9, dtype=np.float32).reshape(1, 1, 9, 1)
    assert ssim_per_image(line, line) == pytest.approx(1.0)

"""Scores of reconstructions: mse, psnr, ssim, and skill over the mean image.

All functions take images [N, 1, H, W] with pixels in 0..1, also small ones (8x8).
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from client_autoencoder.images.batches import Pixels

Values = NDArray[np.float64]

_MIN_MSE = 1e-10  # an exact copy scores 100 dB instead of infinity
_SSIM_WINDOW = 7
_SSIM_C1 = 0.01**2
_SSIM_C2 = 0.03**2


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean scores of a set of restored images.

    Attributes:
        mse: mean over pixels of the squared error, the primary metric; lower is better.
        psnr_db: -10 log10(mse) per image, averaged, in decibel; 100 for an exact copy.
        ssim: structural similarity, 1 for a copy.
        skill: 1 - mse / mse of the mean training image: 0 for a constant image, 1 for a copy.
    """

    mse: float
    psnr_db: float
    ssim: float
    skill: float


def score(originals: Pixels, restored: Pixels, mean_image: Pixels) -> Scores:
    """Score restored images, clamped to 0..1; ``mean_image`` [1, H, W] is of training images."""
    restored = np.clip(restored, 0.0, 1.0)
    guess = np.broadcast_to(mean_image, originals.shape)
    mse = float(mse_per_image(originals, restored).mean())
    return Scores(
        mse=mse,
        psnr_db=float(psnr_db_per_image(originals, restored).mean()),
        ssim=float(ssim_per_image(originals, restored).mean()),
        skill=compute_skill(mse, float(mse_per_image(originals, guess).mean())),
    )


def mse_per_image(originals: Pixels, restored: Pixels) -> Values:
    """Return the mean squared error of each image, [N] (equation 4 per pixel)."""
    difference = originals.astype(np.float64) - restored
    per_image: Values = (difference**2).mean(axis=(1, 2, 3))
    return per_image


def delta_per_image(originals: Pixels, restored: Pixels) -> Values:
    """Return equation 9 of Salehinejad et al. as it is printed, [N]: ||I - I~||_2 / (U V).

    It shrinks as images grow: an all-black image of MNIST has 0.012, so that "1 - delta" is 98.8 %.
    """
    pixels = originals.shape[2] * originals.shape[3]
    delta: Values = np.sqrt(mse_per_image(originals, restored) / pixels)
    return delta


def psnr_db_per_image(originals: Pixels, restored: Pixels) -> Values:
    """Return -10 log10(mse) of each image, [N]; 100 dB for an exact copy."""
    errors = np.maximum(mse_per_image(originals, restored), _MIN_MSE)
    decibel: Values = -10.0 * np.log10(errors)
    return decibel


def compute_skill(error: float, floor: float) -> float:
    """Return 1 - ``error`` / ``floor``, both mean squared errors."""
    return 1.0 - error / max(floor, _MIN_MSE)


def ssim_per_image(originals: Pixels, restored: Pixels) -> Values:
    """Return the structural similarity (Wang et al. 2004) of each image, [N].

    A uniform 7x7 window and the sample covariance, averaged over the windows that lie inside the
    image, as in scikit-image. For a side below 7 pixels it is the largest odd window that fits.
    """
    window = _window(originals.shape[2]), _window(originals.shape[3])
    x, y = originals.astype(np.float64), restored.astype(np.float64)
    mean_x, mean_y = _window_mean(x, window), _window_mean(y, window)
    count = window[0] * window[1]
    unbiased = count / max(count - 1, 1)
    var_x = unbiased * (_window_mean(x * x, window) - mean_x**2)
    var_y = unbiased * (_window_mean(y * y, window) - mean_y**2)
    covariance = unbiased * (_window_mean(x * y, window) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + _SSIM_C1) / (mean_x**2 + mean_y**2 + _SSIM_C1)
    structure = (2 * covariance + _SSIM_C2) / (var_x + var_y + _SSIM_C2)
    per_image: Values = (luminance * structure).mean(axis=(1, 2, 3))
    return per_image


def _window(side: int) -> int:
    return min(_SSIM_WINDOW, side if side % 2 else side - 1) if side > 1 else 1


def _window_mean(values: Values, window: tuple[int, int]) -> Values:
    """Average [N, 1, H, W] over windows, rows first: 2 x 7 sums instead of 7 x 7."""
    rows = sliding_window_view(values, window[0], axis=2).mean(axis=-1)
    means: Values = sliding_window_view(rows, window[1], axis=3).mean(axis=-1)
    return means

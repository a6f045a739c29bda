"""The mechanism between encoder and publisher: it changes values before they leave.

No mechanism covers labels, counts, timestamps or the client's name.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.privacy.analysis import gaussian_sigma
from schemas.messages.latent import Privacy

Values = NDArray[np.float32]
NoiseSource = Callable[[tuple[int, ...]], NDArray[np.float64]]
"""Returns independent standard normal numbers of a shape. Clients pass ``system_noise``;
experiments may pass ``numpy.random.default_rng(seed).standard_normal``."""


def keep(values: Values) -> Values:
    """Return the values as they are."""
    return values


@dataclass(frozen=True, slots=True)
class Release:
    """What a mechanism made of values [N, *shape].

    Attributes:
        values: what may be sent, [N, *shape].
        undo: turns what the server's network made of them back into what it would have made of the
            values; most mechanisms leave nothing to undo.
    """

    values: Values
    undo: Callable[[Values], Values] = keep


class Mechanism(Protocol):
    """Changes values [N, *shape] before they are sent, and says how."""

    @property
    def privacy(self) -> Privacy:
        """What the message says about the mechanism."""
        ...

    def apply(self, values: Values) -> Release:
        """Return what may be sent of values [N, *shape]; the argument is left as it is."""
        ...


class NoMechanism:
    """Leaves values as they are. Whoever has the encoder can restore the images from them."""

    @property
    def privacy(self) -> Privacy:
        """The mechanism ``none``, without guarantee."""
        return Privacy(mechanism="none")

    def apply(self, values: Values) -> Release:
        """Return the values unchanged."""
        return Release(values)


class GaussianMechanism:
    """Clips each latent to norm ``clip`` and adds Gaussian noise, record by record.

    Each row u of [N, D] becomes u / max(1, ||u|| / clip) + N(0, sigma^2 I). Any image may be
    swapped for any other (replace-one), so the sensitivity is 2 * clip; sigma is the analytic
    one of Balle & Wang 2018. This is marked as research, without guarantee: epsilon holds for one
    release of one record, and nothing counts the releases yet; and the sum is rounded to floating
    point, whose uneven grid can betray the value without noise (Mironov, CCS 2012).

    Args:
        epsilon: above 0, for each release of an image.
        delta: between 0 and 1.
        clip: largest length (L2 norm) of a latent.
        noise: draws the noise; ``system_noise`` in earnest.

    Raises:
        ClientError: epsilon, delta or clip is outside its bounds.

    Source: Balle & Wang, "Improving the Gaussian Mechanism for Differential Privacy: Analytical
    Calibration and Optimal Denoising", ICML 2018.

    Example:
        >>> from client_autoencoder import GaussianMechanism, system_noise
        >>> mechanism = GaussianMechanism(epsilon=4, delta=1e-5, clip=1, noise=system_noise)
        >>> round(mechanism.sigma, 2)
        2.16
        >>> mechanism.apply(np.zeros((2, 16), np.float32)).values.shape
        (2, 16)
    """

    def __init__(self, *, epsilon: float, delta: float, clip: float, noise: NoiseSource) -> None:
        self._epsilon = epsilon
        self._delta = delta
        self._clip = clip
        self._noise = noise
        if not 0 < clip < float("inf"):
            raise ClientError(f"clip {clip} must be a finite number above 0")
        self.sensitivity = 2 * clip
        self.sigma = gaussian_sigma(epsilon=epsilon, delta=delta, sensitivity=self.sensitivity)

    @property
    def privacy(self) -> Privacy:
        """The mechanism ``gaussian`` with its parameters, per record, replace-one, research."""
        return Privacy(
            mechanism="gaussian",
            guarantee=False,
            parameters={"clip": self._clip, "sensitivity": self.sensitivity, "sigma": self.sigma},
            epsilon=self._epsilon,
            delta=self._delta,
            unit="record",
            adjacency="replace-one",
        )

    def apply(self, values: Values) -> Release:
        """Return clipped and noised values [N, *shape]; the norm is of all numbers of an image.

        Raises:
            ClientError: a value is NaN or infinite, which no clipping bounds.
        """
        if not np.isfinite(values).all():
            raise ClientError("a latent is NaN or infinite and cannot be clipped; check the image")
        exact = values.astype(np.float64).reshape(len(values), -1)
        norms = np.linalg.norm(exact, axis=1, keepdims=True)
        clipped = exact / np.maximum(1.0, norms / self._clip)
        noised = clipped + self.sigma * self._noise(exact.shape)
        return Release(noised.astype(np.float32).reshape(values.shape))


def system_noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Draw standard normal numbers from the operating system's cryptographic generator.

    Box-Muller on 53 random bits a number, so no value is beyond 8.6.

    Example:
        >>> from client_autoencoder import system_noise
        >>> system_noise((2, 16)).shape
        (2, 16)
    """
    count = int(np.prod(shape))
    pairs = (count + 1) // 2
    radius = np.sqrt(-2.0 * np.log(_uniform(pairs)))
    angle = 2.0 * np.pi * _uniform(pairs)
    normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return normal[:count].reshape(shape)


def _uniform(count: int) -> NDArray[np.float64]:
    """Draw ``count`` numbers in (0, 1], all multiples of 2^-53."""
    bits = np.frombuffer(os.urandom(8 * count), np.uint64) >> np.uint64(11)
    return (bits.astype(np.float64) + 1.0) * 2.0**-53

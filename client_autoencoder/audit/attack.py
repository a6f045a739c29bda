"""What an attacker is given, and what it returns: the one interface of all attackers.

An attacker learns from public images, of which it knows the releases and the truth, and is scored
on the releases of victims that it has never seen. Beside its score stands its floor: what it would
reach without any release. Its success is a lower bound on what a release gives away: another
attacker may do better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.errors import ClientError

Values = NDArray[np.float32]
Truth = NDArray[Any]
Figures = dict[str, float]
"""Figures by name. The best attacker that can be reaches 1 in its headline figure."""


@dataclass(frozen=True, slots=True)
class Known:
    """Releases and the truth about their images, row by row.

    Attributes:
        released: latents [N, D] or maps [N, C, H, W], as anybody who reads the messages gets them.
        truth: what the attacker is after, [N, ...]; each attacker says which.
        told: what everybody knows of each image anyway, such as its label, [N]; None for nothing.

    Raises:
        ClientError: the releases are neither latents nor maps, there are none, one is not finite,
            or the truth of one is missing.
    """

    released: Values
    truth: Truth
    told: Truth | None = None

    def __post_init__(self) -> None:
        if self.released.ndim not in (2, 4):
            raise ClientError(
                f"an attacker takes latents [N, D] or maps [N, C, H, W], "
                f"not releases of shape {list(self.released.shape)}"
            )
        if not len(self.released) or not np.isfinite(self.released).all():
            raise ClientError("there is no release to attack, or one is NaN or infinite")
        for name, column in (("truth", self.truth), ("label", self.told)):
            if column is not None:
                self._check_column(name, column)

    def _check_column(self, name: str, column: Truth) -> None:
        if len(column) != len(self.released):
            raise ClientError(f"{len(self.released)} releases have {len(column)} {name}s")
        if column.dtype == object:
            raise ClientError(f"the {name} of a release is missing, or they are of several kinds")


@dataclass(frozen=True, slots=True)
class Target:
    """One way to release images: what an attacker learns from, and whom it attacks.

    Raises:
        ClientError: releases or truths of the public and of the victims differ in shape.
    """

    public: Known
    victims: Known

    def __post_init__(self) -> None:
        for name in ("released", "truth"):
            own, other = getattr(self.public, name), getattr(self.victims, name)
            if own.shape[1:] != other.shape[1:]:
                raise ClientError(
                    f"the attacker learns from {name} values of shape {list(own.shape[1:])}, "
                    f"those of the victims are {list(other.shape[1:])}; use one network for both"
                )


class Attacker(Protocol):
    """One that has learned from public images."""

    def score(self, victims: Known) -> Figures:
        """Attack the releases of images that it has never seen, and compare with the truth."""
        ...

    def floor(self, victims: Known) -> Figures:
        """Return what it reaches without any release; its headline figure at least."""
        ...


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of attacker.

    Attributes:
        fit: makes an attacker of public images.
        truth: what it is after, in words.
        headline: the figure by which it is judged: 1 at best.
    """

    fit: Callable[[Known, torch.Generator, TrainingOptions], Attacker]
    truth: str
    headline: str


def check_truth(known: Known, dimensions: tuple[int, ...], truth: str) -> None:
    """Check that the truth is of the kind that an attacker is after.

    Raises:
        ClientError: it has another number of dimensions; the text says what is needed.
    """
    if known.truth.ndim not in dimensions:
        raise ClientError(
            f"this attacker is after {truth}, not after values of shape {list(known.truth.shape)}"
        )

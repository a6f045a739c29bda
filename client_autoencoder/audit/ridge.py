"""Ridge regression: the best linear attacker, whose strength against noise is chosen by itself.

A network that learns from few noised releases learns their noise by heart and does worse than a
guess. The penalty of a ridge regression shrinks what it predicts towards the mean instead. It is
the one of least generalised cross-validation error (Golub, Heath & Wahba, Technometrics 1979), for
which nothing has to be held out.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client_autoencoder.audit.learning import Standardiser

Matrix = NDArray[np.float64]

_PENALTIES = np.logspace(-6, 6, 25)
_MOST_IMAGES = 1500  # the time grows with their cube, the strength hardly any more


class Ridge(nn.Module):
    """Releases [N, *shape] to values [N, K], by a linear map that was fitted in closed form."""

    def __init__(self, released: Tensor, values: Tensor) -> None:
        """Args: values: of any shape [N, ...]; they are predicted flat. The first 1,500 count."""
        super().__init__()
        self._standardiser = Standardiser(released)
        inputs = self._flatten(released[:_MOST_IMAGES])
        outputs = values[:_MOST_IMAGES].flatten(1).double().numpy()
        # Maps are standardised as a whole, so that each of their numbers has a mean of its own.
        self._means = inputs.mean(axis=0), outputs.mean(axis=0)
        self._matrix = _fit(inputs - self._means[0], outputs - self._means[1])

    def forward(self, released: Tensor) -> Tensor:
        """Return the predicted values [N, K]."""
        predicted = (self._flatten(released) - self._means[0]) @ self._matrix + self._means[1]
        return torch.from_numpy(predicted).float()

    def _flatten(self, released: Tensor) -> Matrix:
        flat: Matrix = self._standardiser(released).flatten(1).double().numpy()
        return flat


def _fit(inputs: Matrix, outputs: Matrix) -> Matrix:
    """Return the matrix [D, K] for centred inputs [N, D] and outputs [N, K]."""
    squares, vectors = np.linalg.eigh(inputs @ inputs.T)
    squares = squares.clip(0)  # rounding makes some a little smaller
    found = vectors.T @ outputs
    penalties = _PENALTIES * len(inputs)
    penalty = min(penalties, key=lambda one: _cross_validate(squares / (squares + one), found))
    matrix: Matrix = inputs.T @ (vectors @ (found / (squares + penalty)[:, None]))
    return matrix


def _cross_validate(kept: Matrix, found: Matrix) -> float:
    """Return the generalised cross-validation error of keeping such shares [N] of what is found."""
    error = ((1 - kept) ** 2 @ found**2).sum()
    freedom = len(kept) - 1 - kept.sum()  # one less for the means, which were fitted as well
    return float(error / max(freedom, 1e-9) ** 2)

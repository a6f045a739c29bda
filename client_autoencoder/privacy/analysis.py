"""How much noise a Gaussian mechanism needs for a budget, by ``schemas/gaussian.py``."""

import math

from client_autoencoder.errors import ClientError
from schemas.gaussian import LARGEST_EPSILON, LEAST_DELTA, gaussian_delta

_HALVINGS = 100


def gaussian_sigma(*, epsilon: float, delta: float, sensitivity: float) -> float:
    """Return the least noise sd that is (epsilon, delta)-DP for L2 ``sensitivity``.

    Raises:
        ClientError: epsilon, delta or sensitivity is outside its bounds.
    """
    check_budget(epsilon=epsilon, delta=delta)
    if not 0 < sensitivity < math.inf:
        raise ClientError(f"sensitivity {sensitivity} must be a finite number above 0")
    return sensitivity * _bisect(epsilon, delta)


def check_budget(*, epsilon: float, delta: float) -> None:
    """Check that 0 < epsilon <= 500 and 1e-12 <= delta < 1.

    Raises:
        ClientError: names the number and its bounds.
    """
    if not 0 < epsilon <= LARGEST_EPSILON:
        raise ClientError(f"epsilon {epsilon} must be above 0 and at most {LARGEST_EPSILON:g}")
    if not LEAST_DELTA <= delta < 1:
        raise ClientError(f"delta {delta} must be at least {LEAST_DELTA:g} and below 1")


def _bisect(epsilon: float, delta: float) -> float:
    """Solve gaussian_delta(sigma) = delta for sensitivity 1; delta falls as sigma grows."""
    low, high = 0.0, 1.0
    while gaussian_delta(sigma=high, epsilon=epsilon, sensitivity=1.0) > delta:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if gaussian_delta(sigma=middle, epsilon=epsilon, sensitivity=1.0) > delta:
            low = middle
        else:
            high = middle
    return high

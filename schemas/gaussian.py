"""What Gaussian noise guarantees, exactly: Balle & Wang, ICML 2018 (arXiv 1805.06530).

The textbook formula sqrt(2 ln(1.25 / delta)) / epsilon is proved only below epsilon 1 and gives
too little noise above epsilon 9; it is not used here.
"""

import math

LARGEST_EPSILON = 500.0  # keeps exp(epsilon) finite; nothing is protected long before
LEAST_DELTA = 1e-12  # below, the difference of two nearly equal probabilities loses its digits


def gaussian_delta(*, sigma: float, epsilon: float, sensitivity: float) -> float:
    """Return the smallest delta for which noise of sd ``sigma`` is (epsilon, delta)-DP.

    Theorem 8: Phi(D / 2s - e s / D) - exp(e) Phi(-D / 2s - e s / D), for sensitivity D.
    """
    shift, slope = sensitivity / (2 * sigma), epsilon * sigma / sensitivity
    return _normal_cdf(shift - slope) - math.exp(epsilon) * _normal_cdf(-shift - slope)


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))

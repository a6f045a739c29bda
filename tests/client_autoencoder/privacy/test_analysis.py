"""The noise of the analytic Gaussian mechanism, against published and independent values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_autoencoder.errors import ClientError
from client_autoencoder.privacy.analysis import gaussian_sigma
from schemas.gaussian import gaussian_delta

# sd for clip 1 under replace-one (sensitivity 2), delta 1e-5
TABLE = [
    (0.25, 26.6),
    (0.5, 14.06),
    (1, 7.46),
    (2, 3.99),
    (4, 2.16),
    (8, 1.20),
    (16, 0.688),
    (32, 0.410),
    (100, 0.189),
]


@pytest.mark.parametrize(("epsilon", "sigma"), TABLE)
def test_the_table(epsilon: float, sigma: float) -> None:
    found = gaussian_sigma(epsilon=epsilon, delta=1e-5, sensitivity=2.0)
    assert found == pytest.approx(sigma, rel=4e-3)


@pytest.mark.parametrize("epsilon", [0.25, 1, 8, 32])
def test_an_independent_accountant_agrees(epsilon: float) -> None:
    pld = pytest.importorskip("dp_accounting.pld.privacy_loss_distribution")
    sigma = gaussian_sigma(epsilon=epsilon, delta=1e-5, sensitivity=2.0)
    loss = pld.from_gaussian_mechanism(sigma, sensitivity=2.0, value_discretization_interval=1e-3)
    assert loss.get_epsilon_for_delta(1e-5) == pytest.approx(epsilon, abs=2e-3)


@given(st.floats(0.01, 400), st.floats(-12, -1).map(lambda exponent: 10**exponent))
def test_the_noise_is_enough_and_the_least(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(epsilon=epsilon, delta=delta, sensitivity=1.0)
    assert gaussian_delta(sigma=sigma, epsilon=epsilon, sensitivity=1.0) <= delta
    assert gaussian_delta(sigma=sigma * 0.999, epsilon=epsilon, sensitivity=1.0) > delta


@given(st.floats(0.01, 100), st.floats(1e-3, 1e3))
def test_noise_is_in_proportion_to_sensitivity(epsilon: float, sensitivity: float) -> None:
    unscaled = gaussian_sigma(epsilon=epsilon, delta=1e-5, sensitivity=1.0)
    scaled = gaussian_sigma(epsilon=epsilon, delta=1e-5, sensitivity=sensitivity)
    assert scaled == pytest.approx(unscaled * sensitivity)


def test_the_textbook_formula_gives_too_little_noise_at_large_epsilon() -> None:
    textbook = math.sqrt(2 * math.log(1.25 / 1e-5)) / 20
    assert gaussian_delta(sigma=textbook, epsilon=20, sensitivity=1.0) > 1e-5


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"epsilon": 0.0}, "epsilon 0.0 must be above 0"),
        ({"epsilon": -1.0}, "epsilon -1.0 must"),
        ({"epsilon": 501.0}, "at most 500"),
        ({"epsilon": math.nan}, "epsilon nan must"),
        ({"delta": 0.0}, "delta 0.0 must be at least 1e-12"),
        ({"delta": 1.0}, "below 1"),
        ({"delta": math.nan}, "delta nan must"),
        ({"sensitivity": 0.0}, "sensitivity 0.0 must"),
        ({"sensitivity": math.inf}, "sensitivity inf must"),
    ],
)
def test_bounds(changed: dict[str, float], reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        gaussian_sigma(**{"epsilon": 1.0, "delta": 1e-5, "sensitivity": 1.0, **changed})

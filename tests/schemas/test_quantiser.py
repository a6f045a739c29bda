"""Codes of one byte: even steps, clipped, and exact on the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError
from schemas.quantiser import dequantise, quantise

LOW, HIGH = -3.1, 2.9
ALL_CODES = np.arange(-128, 128).astype(np.int8).reshape(2, 128)
RANGES = st.tuples(st.floats(-100, 100), st.floats(0.1, 1e4)).map(lambda r: (r[0], r[0] + r[1]))


@given(RANGES)
def test_every_code_comes_back(bounds: tuple[float, float]) -> None:
    assert np.array_equal(quantise(dequantise(ALL_CODES, *bounds), *bounds), ALL_CODES)


def test_the_steps_are_even_and_reach_both_ends() -> None:
    levels = dequantise(ALL_CODES, LOW, HIGH).ravel()
    assert levels.dtype == np.float32
    assert levels[[0, -1]] == pytest.approx([LOW, HIGH])
    assert np.diff(levels) == pytest.approx((HIGH - LOW) / 255, abs=1e-6)


@given(st.floats(LOW, HIGH))
def test_a_latent_within_the_range_is_at_most_half_a_step_off(value: float) -> None:
    latents = np.array([[value]], np.float32)
    restored = dequantise(quantise(latents, LOW, HIGH), LOW, HIGH)
    assert abs(restored - latents).item() <= (HIGH - LOW) / 255 / 2 + 1e-6


def test_latents_outside_the_range_are_clipped() -> None:
    latents = np.array([[-1e30, LOW - 1, HIGH + 1, 1e30]], np.float32)
    assert quantise(latents, LOW, HIGH).tolist() == [[-128, -128, 127, 127]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_latent_that_is_no_number_is_refused_by_position(bad: float) -> None:
    latents = np.zeros((2, 3), np.float32)
    latents[1, 2] = bad
    with pytest.raises(SchemaError, match=r"latent\[1, 2\]: is not a finite number"):
        quantise(latents, LOW, HIGH)


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"2\.0 to 2\.0 is empty"):
        dequantise(ALL_CODES, 2.0, 2.0)

"""Weights of one byte: close to what they stand for, and exact wherever they are restored."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream.networks.int8_weights import round_weights, to_codes

weights = arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32))


@given(weights)
def test_a_weight_is_at_most_half_a_step_off(values: np.ndarray) -> None:
    codes, scales = to_codes(values)
    assert codes.dtype == np.int8
    assert (np.abs(codes * scales.astype(np.float64) - values) <= scales * 0.5001).all()
    largest = np.abs(values).max(axis=1)
    assert (scales[:, 0] <= np.maximum(largest, 2.0**-64) / 127 * 1.0001).all()


@given(weights)
def test_restoring_is_exact_and_gives_the_same_codes_again(values: np.ndarray) -> None:
    codes, scales = to_codes(values)
    restored = round_weights(values)
    assert restored.dtype == np.float32
    assert np.array_equal(restored, codes * scales.astype(np.float64))
    again, same = to_codes(restored)
    assert np.array_equal(again, codes)
    assert np.array_equal(same[np.any(codes, axis=1)], scales[np.any(codes, axis=1)])

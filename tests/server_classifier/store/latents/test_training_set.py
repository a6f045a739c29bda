from collections import Counter
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from schemas.quantiser import dequantise
from server_classifier.store.database import reading, writing
from server_classifier.store.errors import RegistryError
from server_classifier.store.latents import fetching
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.training_set import (
    TrainingSet,
    draw_stratified,
    read_training_set,
)
from server_classifier.store.tables import latent
from tests.server_classifier.stored import ENCODER, make_row


def insert(engine: Engine, rows: list[LatentRow]) -> None:
    with writing(engine) as connection:
        insert_latents(connection, rows)


def read(engine: Engine, max_rows: int = 1000, seed: int = 0) -> TrainingSet:
    with reading(engine) as connection:
        rng = np.random.default_rng(seed)
        return read_training_set(connection, ENCODER.network_id, max_rows=max_rows, rng=rng)


def test_both_dtypes_become_one_array_by_target_and_then_by_bytes(engine: Engine) -> None:
    codes = np.array([[-128, 0, 5, 127], [1, 2, 3, 4]], np.int8)
    floats = np.array([0.25, -7.5, 1e-3, 2.0], np.float32)
    insert(
        engine,
        [
            make_row(1, label="dog", value=codes[0].tobytes(), site="south"),
            make_row(2, label="cat", dtype="float32", value=floats.tobytes()),
            make_row(3, label="dog", value=codes[1].tobytes()),
        ],
    )
    found = read(engine)
    restored = dequantise(codes, ENCODER.output.low, ENCODER.output.high)
    dogs = sorted(restored, key=lambda row: row.tobytes())
    np.testing.assert_array_equal(found.values, np.stack([floats, *dogs]))
    assert found.values.dtype == np.float32
    assert found.labels == ("cat", "dog")
    assert found.targets.tolist() == [0, 1, 1]
    assert (found.available, found.skipped, found.last_id) == (3, 0, 3)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"dtype": "int32", "value": bytes(16)}, id="int32 grid"),
        pytest.param({"aggregate_kind": "sum"}, id="sum"),
        pytest.param({"value": bytes(5)}, id="too long"),
        pytest.param({"dtype": "float32", "value": bytes(4)}, id="too short"),
    ],
)
def test_what_cannot_be_learned_from_is_skipped_and_counted(
    engine: Engine, change: dict[str, str | bytes]
) -> None:
    insert(engine, [make_row(1), make_row(2, **change), make_row(3)])
    found = read(engine)
    assert (len(found.values), found.available, found.skipped, found.last_id) == (2, 2, 1, 3)


def test_latents_of_another_encoder_stay_out(engine: Engine) -> None:
    insert(engine, [make_row(1), make_row(2, encoder_id="c" * 64, label="other")])
    found = read(engine)
    assert (found.labels, found.available, found.last_id) == (("cat",), 1, 1)


def test_an_empty_database_gives_an_empty_set(engine: Engine) -> None:
    found = read(engine)
    assert found.values.shape == (0, ENCODER.latent_dim)
    assert (found.targets.shape, found.labels, found.last_id) == ((0,), (), 0)


def test_an_unknown_encoder_is_an_error(engine: Engine) -> None:
    with reading(engine) as connection, pytest.raises(RegistryError, match="is not registered"):
        read_training_set(connection, "c" * 64, max_rows=9, rng=np.random.default_rng(0))


def numbered_rows(count: int) -> list[LatentRow]:
    """Rows whose first number is their own, of two sites and three labels."""
    return [
        make_row(
            i,
            site="north" if i % 4 else "south",
            label=f"label {i % 3}",
            dtype="float32",
            value=np.array([i, 0, 0, 0], np.float32).tobytes(),
        )
        for i in range(count)
    ]


def test_every_order_of_storage_gives_the_same_set(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CHUNK", 7)
    stored = numbered_rows(30)
    insert(engine, stored)
    first = read(engine)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(stored))
        with writing(engine) as connection:
            connection.execute(latent.delete())
        insert(engine, [make_copy(stored[old], number) for number, old in enumerate(order)])
        again = read(engine)
        assert again.values.tobytes() == first.values.tobytes()
        assert again.targets.tolist() == first.targets.tolist()
        numbers = again.values[:, 0].astype(int)
        assert [again.labels[t] for t in again.targets] == [f"label {n % 3}" for n in numbers]
        assert again.values.flags.c_contiguous


def make_copy(row: LatentRow, number: int) -> LatentRow:
    """Return the same latent in a message of its own."""
    return row._replace(message_id=str(UUID(int=1000 + number)), kafka_offset=1000 + number)


def test_one_vector_under_two_labels_and_sent_twice_stays_so(engine: Engine) -> None:
    labels = ["dog", "cat", "dog", "cat", "cat"]
    insert(engine, [make_row(i, label=label) for i, label in enumerate(labels)])
    found = read(engine)
    assert found.targets.tolist() == [0, 0, 0, 1, 1]
    assert len(np.unique(found.values, axis=0)) == 1


def test_a_draw_keeps_values_and_labels_together_over_chunks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CHUNK", 7)
    insert(engine, numbered_rows(100))
    found = read(engine, max_rows=40)
    numbers = found.values[:, 0].astype(int)
    assert len(numbers) == len(set(numbers)) == 40
    assert [found.labels[t] for t in found.targets] == [f"label {n % 3}" for n in numbers]
    assert (found.available, found.last_id) == (100, 100)
    shares = Counter((n % 4 == 0, n % 3) for n in numbers)
    assert all(abs(shares[pair] - count * 0.4) <= 1 for pair, count in STRATA.items())


STRATA = Counter((n % 4 == 0, n % 3) for n in range(100))


def test_the_seed_decides_the_draw(engine: Engine) -> None:
    insert(engine, numbered_rows(100))
    first, again, other = (read(engine, max_rows=30, seed=s).values[:, 0] for s in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    size=st.integers(1, 200),
    seed=st.integers(0, 9),
)
def test_a_draw_has_its_size_and_no_stratum_is_left_out(
    counts: list[int], size: int, seed: int
) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(seed).shuffle(strata)
    chosen = draw_stratified(strata, size, np.random.default_rng(seed))
    assert len(chosen) == min(size, len(strata))
    assert (np.diff(chosen) > 0).all()
    drawn = np.bincount(strata[chosen], minlength=len(counts))
    occupied = sum(count > 0 for count in counts)
    assert (drawn <= counts).all()
    assert (drawn > 0).sum() >= min(occupied, len(chosen))

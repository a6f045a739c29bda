from collections import Counter
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from schemas.models.network_manifest import Output
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
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import latent
from stream.networks.packed_values import PackedValues
from stream.networks.packing import pack
from tests.server_classifier.stored import ENCODER, NOW, make_row


def insert(engine: Engine, rows: list[LatentRow]) -> None:
    with writing(engine) as connection:
        insert_latents(connection, rows)


def read(engine: Engine, max_rows: int = 1000, seed: int = 0) -> TrainingSet:
    with reading(engine) as connection:
        rng = np.random.default_rng(seed)
        return read_training_set(connection, ENCODER.network_id, max_rows=max_rows, rng=rng)


def list_values(found: TrainingSet) -> NDArray[np.float32]:
    """Return the latents, which are not packed."""
    assert isinstance(found.values, np.ndarray)
    return found.values


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
    assert list_values(found).dtype == np.float32
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


MAPS = replace(ENCODER, output=Output((4, 2, 2), -3.0, 3.0, ("float32", "int8", "int4", "jpeg")))


def insert_maps(engine: Engine, order: list[int]) -> None:
    """Store maps in all packings, in this order."""
    values = np.random.default_rng(0).normal(0, 1, (len(order), 4, 2, 2)).astype(np.float32)
    rows = []
    for number, one in enumerate(values):
        dtype = MAPS.output.packings[number % 4]
        (vector,) = pack(one[None], dtype, MAPS.output)
        label = f"label {number % 3}"
        row = make_row(number, label=label, dtype=dtype, value=vector.data)
        rows.append(row._replace(encoder_id=MAPS.network_id))
    insert(engine, [make_copy(rows[old], number) for number, old in enumerate(order)])


def read_maps(engine: Engine) -> TrainingSet:
    with reading(engine) as connection:
        rng = np.random.default_rng(0)
        return read_training_set(connection, MAPS.network_id, max_rows=1000, rng=rng)


def test_maps_stay_packed_as_they_came_in_an_order_of_their_own(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "CHUNK", 7)
    with writing(engine) as connection:
        add_encoder(connection, MAPS, now=NOW)
    insert_maps(engine, list(range(24)))
    first = read_maps(engine).values
    assert isinstance(first, PackedValues)
    assert first.shape == (24, 4, 2, 2)
    assert Counter(first.dtypes) == dict.fromkeys(MAPS.output.packings, 6)
    with reading(engine) as connection:
        stored = connection.scalars(select(latent.c.value)).all()
    assert sorted(first.blobs) == sorted(stored)
    for seed in range(3):
        with writing(engine) as connection:
            connection.execute(latent.delete())
        insert_maps(engine, np.random.default_rng(seed).permutation(24).tolist())
        again = read_maps(engine)
        assert isinstance(again.values, PackedValues)
        assert (again.values.blobs, again.values.dtypes) == (first.blobs, first.dtypes)
        assert again.targets.tolist() == sorted(again.targets.tolist())


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
        assert list_values(again).tobytes() == list_values(first).tobytes()
        assert again.targets.tolist() == first.targets.tolist()
        numbers = list_values(again)[:, 0].astype(int)
        assert [again.labels[t] for t in again.targets] == [f"label {n % 3}" for n in numbers]
        assert list_values(again).flags.c_contiguous


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
    numbers = list_values(found)[:, 0].astype(int)
    assert len(numbers) == len(set(numbers)) == 40
    assert [found.labels[t] for t in found.targets] == [f"label {n % 3}" for n in numbers]
    assert (found.available, found.last_id) == (100, 100)
    shares = Counter((n % 4 == 0, n % 3) for n in numbers)
    assert all(abs(shares[pair] - count * 0.4) <= 1 for pair, count in STRATA.items())


STRATA = Counter((n % 4 == 0, n % 3) for n in range(100))


def test_the_seed_decides_the_draw(engine: Engine) -> None:
    insert(engine, numbered_rows(100))
    first, again, other = (list_values(read(engine, max_rows=30, seed=s))[:, 0] for s in (1, 1, 2))
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

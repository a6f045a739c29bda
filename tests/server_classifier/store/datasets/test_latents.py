from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, update

from schemas.quantiser import dequantise
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.datasets.catalogue import create_dataset
from server_classifier.store.datasets.latents import DatasetLatents, read_dataset
from server_classifier.store.errors import DatasetError
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import dataset_member, latent
from tests.server_classifier.stored import ENCODER, NOW, make_row
from tests.support.manifests import make_manifest
from tests.support.postgres import DATABASES

OTHER = make_manifest(3)
FLOATS = np.arange(40, dtype=np.float32).reshape(10, 4) - 7.25

# Ten latents: what even ones hold travelled as int8. Subjects, images and sites as in GROUPS.
ROWS = [
    make_row(
        number,
        label="dog" if number % 3 else "cat",
        site="north" if number < 6 else "south",
        dtype="float32" if number % 2 else "int8",
        value=FLOATS[number].tobytes() if number % 2 else bytes([number, 0, 200, 127]),
        subject={2: "7", 5: "7", 8: "7"}.get(number),
        image_id={0: "7", 1: "7", 5: "other", 9: "7"}.get(number),
        received_at=1_700_000_000_000 + number,
    )
    for number in range(10)
]
GROUPS = [0, 0, 1, 2, 3, 1, 4, 5, 6, 7]


def store(engine: Engine, rows: list[LatentRow], name: str = "all") -> None:
    """Store rows, and name all that there are then."""
    with writing(engine) as connection:
        insert_latents(connection, rows)
    create_dataset(engine, name, Selection(), now=NOW)


def read(engine: Engine, name: str = "all", encoder_id: str | None = None) -> DatasetLatents:
    with reading(engine) as connection:
        return read_dataset(connection, name, encoder_id)


def list_bytes(latents: DatasetLatents) -> list[Any]:
    """Return all that latents hold, arrays as their bytes."""
    return [
        (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for value in astuple(latents)
    ]


def test_a_dataset_becomes_arrays_in_the_order_of_its_ids(engine: Engine) -> None:
    store(engine, ROWS[::-1])
    found = read(engine)
    codes = np.array([list(row.value) for row in ROWS[::2]], np.uint8).view(np.int8)
    np.testing.assert_array_equal(found.values[1::2], FLOATS[1::2])
    low, high = ENCODER.output.low, ENCODER.output.high
    np.testing.assert_array_equal(found.values[::2], dequantise(codes, low, high))
    assert [found.labels[target] for target in found.targets] == [row.label for row in ROWS]
    assert [found.sites[site] for site in found.site_of] == [row.site for row in ROWS]
    assert found.groups.tolist() == GROUPS
    assert found.received_at.tolist() == [row.received_at for row in ROWS]
    assert (found.labels, found.sites) == (("cat", "dog"), ("north", "south"))
    assert (found.encoder_id, found.skipped) == (ENCODER.network_id, 0)
    assert (found.with_subject, found.with_image) == (3, 4)


def test_image_and_subject_join_latents_of_one_site(engine: Engine) -> None:
    named = [("P", "I"), (None, "I"), ("P", None), ("Q", "J"), (None, "K"), ("Q", "K"), (None, "J")]
    rows = [
        row._replace(subject=subject, image_id=image, site="north")
        for row, (subject, image) in zip(ROWS, named, strict=False)
    ]
    store(engine, [*rows, ROWS[7]._replace(image_id="I", site="south")])
    assert read(engine).groups.tolist() == [0, 0, 0, 1, 1, 1, 1, 2]


def test_the_arrays_are_the_same_on_every_database_and_in_every_order(
    make_database: Callable[[str, Path], str], tmp_path: Path
) -> None:
    found = []
    for kind in DATABASES:
        for order in range(2):
            folder = tmp_path / f"{kind}-{order}"
            folder.mkdir()
            engine = open_database(make_database(kind, folder))
            ensure_current(engine)
            with writing(engine) as connection:
                add_encoder(connection, ENCODER, now=NOW)
            rng = np.random.default_rng(order)
            store(engine, [ROWS[place] for place in rng.permutation(len(ROWS))])
            found.append(list_bytes(read(engine)))
            engine.dispose()
    assert all(arrays == found[0] for arrays in found)


def test_a_dataset_is_read_as_it_was_although_more_has_arrived(engine: Engine) -> None:
    store(engine, ROWS[1::2])
    before = list_bytes(read(engine))
    store(engine, ROWS[::2], "more")
    assert list_bytes(read(engine)) == before
    assert len(read(engine, "more").values) == 10


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"label": "bird"}, id="label"),
        pytest.param({"value": b"\x01\x00\xc8\x7f"}, id="value"),
        pytest.param({"subject": None}, id="subject"),
        pytest.param({"site": "west"}, id="site"),
    ],
)
def test_a_changed_latent_is_refused_by_name(engine: Engine, change: dict[str, Any]) -> None:
    store(engine, ROWS)
    with writing(engine) as connection:
        chosen = latent.c.message_id.in_([ROWS[8].message_id, ROWS[2].message_id])
        connection.execute(update(latent).where(chosen).values(change))
    with pytest.raises(DatasetError, match=f"0 are gone and 2 changed.* {ROWS[2].message_id}"):
        read(engine)


def test_gone_latents_are_refused_by_name(engine: Engine) -> None:
    store(engine, ROWS)
    with writing(engine) as connection:
        connection.execute(latent.delete().where(latent.c.label == "cat"))
    with pytest.raises(DatasetError, match=f"of 10 .* 4 are gone.* {ROWS[0].message_id}"):
        read(engine)


@pytest.mark.parametrize("damage", ["members", "order", "revision"])
def test_a_damaged_list_is_refused(engine: Engine, damage: str) -> None:
    store(engine, ROWS)
    last = dataset_member.c.ordinal == 9
    statement = {
        "members": dataset_member.delete().where(dataset_member.c.ordinal > 5),
        "order": update(dataset_member).where(dataset_member.c.ordinal == 3).values(ordinal=10),
        "revision": update(dataset_member).where(last).values(revision="0" * 32),
    }[damage]
    with writing(engine) as connection:
        connection.execute(statement)
    with pytest.raises(DatasetError, match="the list of dataset all is damaged"):
        read(engine)


def test_of_several_encoders_one_must_be_named(engine: Engine) -> None:
    with writing(engine) as connection:
        add_encoder(connection, OTHER, now=NOW)
    others = [make_row(n, encoder_id=OTHER.network_id, value=b"\1\2\3") for n in (20, 21)]
    store(engine, ROWS + others)
    with pytest.raises(DatasetError, match="several encoders") as error:
        read(engine)
    assert f"{OTHER.network_id[:12]} (2 latents)" in str(error.value)
    assert f"{ENCODER.network_id[:12]} (10 latents)" in str(error.value)
    assert read(engine, "all", OTHER.network_id[:12]).values.shape == (2, 3)
    assert read(engine, "all", ENCODER.network_id).values.shape == (10, 4)
    with pytest.raises(DatasetError, match="no latent of encoder 00ff"):
        read(engine, "all", "00ff")


def test_what_cannot_be_learned_from_is_counted_and_left_out(engine: Engine) -> None:
    odd = [
        make_row(20, aggregate_kind="sum", aggregate_count=3),
        make_row(21, dtype="int32", value=bytes(16)),
        make_row(22, value=bytes(5)),
    ]
    store(engine, odd, "odd")
    with pytest.raises(DatasetError, match=r"odd has no latent .* to learn from"):
        read(engine, "odd")
    store(engine, ROWS)
    assert (len(read(engine).values), read(engine).skipped) == (10, 3)


def test_an_unknown_encoder_is_an_error(engine: Engine) -> None:
    store(engine, [make_row(1, encoder_id="c" * 64)])
    with pytest.raises(DatasetError, match="is not registered"):
        read(engine)

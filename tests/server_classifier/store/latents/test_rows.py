from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select, text

from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.errors import StoreError
from server_classifier.store.latents.contents import find_conflicts
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import (
    NewLatents,
    count_latents,
    count_latents_by_client,
    count_new_latents,
    insert_latents,
)
from server_classifier.store.tables import latent
from stream.exchange.message_ids import derive_message_id
from tests.server_classifier.stored import make_row
from tests.support.postgres import Postgres


def insert(engine: Engine, rows: list[LatentRow]) -> int:
    with writing(engine) as connection:
        return len(rows) - len(insert_latents(connection, rows))


def test_the_row_has_the_columns_of_the_table() -> None:
    assert LatentRow._fields == tuple(column.key for column in latent.c)[1:]


def test_every_column_reads_back(engine: Engine) -> None:
    row = make_row(
        7,
        label="Lungenentzündung",
        value=b"\x80\x00\x7f\xff",
        image_id="image-7",
        subject="kx91",
        aggregate_kind="mean",
        aggregate_count=10,
        privacy='{"mechanism":"gaussian"}',
        policy="ef" * 32,
        sent_at=1_493_385_002_000,
    )
    insert(engine, [row])
    with reading(engine) as connection:
        stored = connection.execute(select(*list(latent.c)[1:])).one()
    sent_at = datetime(2017, 4, 28, 13, 10, 2, tzinfo=UTC)
    assert stored.sent_at == sent_at
    assert tuple(stored) == tuple(
        row._replace(sent_at=sent_at, received_at=stored.received_at)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("numbers", "new"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([5, 6], 2, id="all new"),
        pytest.param([1, 5], 1, id="one known"),
        pytest.param([1, 2, 3], 0, id="all known"),
        pytest.param([5, 5, 5], 1, id="one three times in a batch"),
    ],
)
def test_only_new_messages_are_stored_and_counted(
    engine: Engine, numbers: list[int], new: int
) -> None:
    insert(engine, [make_row(i) for i in (1, 2, 3)])
    assert insert(engine, [make_row(i) for i in numbers]) == new
    with reading(engine) as connection:
        assert count_latents(connection) == 3 + new


@pytest.mark.parametrize(
    ("messages", "known"),
    [
        pytest.param("5a 6a", "", id="all new"),
        pytest.param("1a 5a", "1a", id="one from before"),
        pytest.param("5a 1b 6a 1a", "1b 1a", id="one from before, twice"),
        pytest.param("5a 6a 5b 5a", "5b 5a", id="one three times in a batch"),
        pytest.param("1b 5a 5b", "1b 5b", id="both"),
    ],
)
def test_what_is_known_already_is_returned_and_compared(
    engine: Engine, messages: str, known: str
) -> None:
    def make(names: str) -> list[LatentRow]:
        return [make_row(int(name[0]), label=name[1]) for name in names.split()]

    insert(engine, make("1a 2a"))
    with writing(engine) as connection:
        left_out = insert_latents(connection, make(messages))
        conflicts = find_conflicts(connection, left_out)
    assert left_out == make(known)
    assert conflicts == [row for row in make(known) if row.label == "b"]


def test_an_id_derived_from_a_record_is_never_taken(engine: Engine) -> None:
    """Its content differs where the default encoder of its client was changed in between."""
    row = make_row(1, message_id=derive_message_id("c", "t", 0, 1, b"{}"))
    with writing(engine) as connection:
        assert insert_latents(connection, [row]) == []
        again = insert_latents(connection, [row._replace(encoder_id="e" * 64)])
        assert len(again) == 1
        assert find_conflicts(connection, again) == []


def test_a_known_message_keeps_its_first_content(engine: Engine) -> None:
    insert(engine, [make_row(1, label="first")])
    insert(engine, [make_row(1, label="second")])
    with reading(engine) as connection:
        assert connection.scalars(select(latent.c.label)).all() == ["first"]


def test_latents_are_counted_by_client(engine: Engine) -> None:
    insert(engine, [make_row(i, client_id="north-1" if i < 3 else "south-1") for i in range(5)])
    with reading(engine) as connection:
        assert count_latents_by_client(connection) == {"north-1": 3, "south-1": 2}


def test_new_latents_are_counted_after_an_id(engine: Engine) -> None:
    with reading(engine) as connection:
        assert count_new_latents(connection, 0) == NewLatents(0, {})
    insert(engine, [make_row(i, encoder_id="a" if i % 2 else "b") for i in range(5)])
    with reading(engine) as connection:
        seen = count_new_latents(connection, 0)
        assert seen.by_encoder == {"a": 2, "b": 3}
        assert count_new_latents(connection, 0, "a").by_encoder == {"a": 2}
        assert count_new_latents(connection, seen.last_id) == NewLatents(seen.last_id, {})
    insert(engine, [make_row(9, encoder_id="a")])
    with reading(engine) as connection:
        assert count_new_latents(connection, seen.last_id).by_encoder == {"a": 1}


def test_the_id_of_a_deleted_latent_is_not_used_again(engine: Engine) -> None:
    insert(engine, [make_row(1), make_row(2)])
    with writing(engine) as connection:
        newest = count_new_latents(connection, 0).last_id
        connection.execute(latent.delete())
    insert(engine, [make_row(3)])
    with reading(engine) as connection:
        assert count_new_latents(connection, newest).by_encoder != {}


def test_a_sequence_left_behind_is_an_error_that_names_the_remedy(postgres: Postgres) -> None:
    engine = open_database(postgres.create_database())
    ensure_current(engine)
    with writing(engine) as connection:
        insert_latents(connection, [make_row(0), make_row(1)])
        connection.execute(text("SELECT setval('latent_id_seq', 1, false)"))
    with pytest.raises(StoreError, match=r"SELECT setval"), writing(engine) as connection:
        insert_latents(connection, [make_row(2)])
    engine.dispose()

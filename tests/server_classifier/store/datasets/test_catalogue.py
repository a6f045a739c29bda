from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, update

from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.datasets.catalogue import (
    Dataset,
    Difference,
    compare_datasets,
    create_dataset,
    get_dataset,
    list_datasets,
)
from server_classifier.store.datasets.members import read_members, summarise_members
from server_classifier.store.errors import DatasetError
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.revisions import compute_digest, compute_revision
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.selection import Selection
from server_classifier.store.tables import latent, replay
from tests.server_classifier.stored import ENCODER, NOW, make_row
from tests.support.postgres import DATABASES

DAY = timedelta(days=1)
FIRST = 1_700_000_000_000  # when Kafka took the first latent, in milliseconds since 1970

# The same in every order of storage: two sites, two clients, two labels, two encoders, ten days.
ROWS = [
    make_row(
        number,
        site="north" if number % 2 else "south",
        client_id=f"client-{number % 3}",
        label="cat" if number < 5 else "Lungenödem",
        encoder_id=ENCODER.network_id if number < 8 else "c" * 64,
        received_at=FIRST + number * DAY // timedelta(milliseconds=1),
    )
    for number in range(10)
]
OTHER_ORDER = [ROWS[number] for number in (7, 2, 9, 0, 4, 1, 8, 3, 6, 5)]


def insert(engine: Engine, rows: list[LatentRow]) -> None:
    with writing(engine) as connection:
        insert_latents(connection, rows)


def create(engine: Engine, name: str = "all", **fields: Any) -> Dataset:
    return create_dataset(engine, name, Selection(**fields), now=NOW)[0]


def change(engine: Engine, number: int, **values: Any) -> None:
    chosen = latent.c.message_id == ROWS[number].message_id
    with writing(engine) as connection:
        connection.execute(update(latent).where(chosen).values(**values))


def delete(engine: Engine, number: int) -> None:
    with writing(engine) as connection:
        connection.execute(latent.delete().where(latent.c.message_id == ROWS[number].message_id))


def list_ids(engine: Engine, chosen: Dataset) -> list[int]:
    """Return the numbers of a dataset's rows."""
    numbers = {row.message_id: number for number, row in enumerate(ROWS)}
    with reading(engine) as connection:
        return [numbers[member.message_id] for member in read_members(connection, chosen.id)]


def compare(engine: Engine, first: Dataset, second: Dataset) -> Difference:
    with reading(engine) as connection:
        return compare_datasets(connection, first, second)


def test_a_dataset_lists_ids_and_what_they_hold_in_the_order_of_the_ids(engine: Engine) -> None:
    insert(engine, OTHER_ORDER)
    made = create(engine)
    with reading(engine) as connection:
        members = list(read_members(connection, made.id))
        assert get_dataset(connection, "all") == made
    assert members == [(row.message_id, compute_revision(row)) for row in ROWS]
    assert made == (1, "all", "{}", len(ROWS), compute_digest(members), NOW)


def test_the_digest_is_the_same_on_every_database_and_in_every_order(
    make_database: Callable[[str, Path], str], tmp_path: Path
) -> None:
    digests = set()
    for kind in DATABASES:
        for order, rows in enumerate((ROWS, OTHER_ORDER)):
            folder = tmp_path / f"{kind}-{order}"
            folder.mkdir()
            engine = open_database(make_database(kind, folder))
            ensure_current(engine)
            # A replay reads the same latent at another place and another time.
            insert(engine, [row._replace(topic="copy", kafka_offset=order) for row in rows])
            digests.add(create(engine).digest)
            engine.dispose()
    assert digests == {compute_digest((row.message_id, compute_revision(row)) for row in ROWS)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"sites": ("north",)}, [1, 3, 5, 7, 9], id="site"),
        pytest.param({"sites": ("north", "south"), "labels": ("cat",)}, [*range(5)], id="label"),
        pytest.param({"labels": ("Lungenödem",)}, [5, 6, 7, 8, 9], id="label that is not ASCII"),
        pytest.param({"clients": ("client-0", "client-2")}, [0, 2, 3, 5, 6, 8, 9], id="client"),
        pytest.param({"encoders": ("cccc",)}, [8, 9], id="encoder"),
        pytest.param({"encoders": ("cccc", ENCODER.network_id)}, [*range(10)], id="encoders"),
        pytest.param({"since": datetime.fromtimestamp(FIRST / 1000, UTC) + 6 * DAY}, [6, 7, 8, 9]),
        pytest.param({"until": datetime.fromtimestamp(FIRST / 1000, UTC) + 2 * DAY}, [0, 1]),
        pytest.param({"sites": ("south",), "encoders": ("c",)}, [8], id="two fields"),
    ],
)
def test_a_selection_by_each_field(
    engine: Engine, fields: dict[str, Any], expected: list[int]
) -> None:
    insert(engine, OTHER_ORDER)
    assert list_ids(engine, create(engine, **fields)) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"sites": ("nroth",)}, "site nroth: did you mean north.* north, south"),
        pytest.param({"sites": ("north", "east")}, "site east", id="one of two"),
        pytest.param({"clients": ("x",)}, "client x: there are client-0, client-1, client-2"),
        pytest.param({"labels": ("Cat",)}, "label Cat: did you mean cat"),
        pytest.param({"encoders": ("d",)}, "encoder d: there are"),
        pytest.param({"labels": ("cat",), "encoders": ("cc",)}, "never in one latent"),
        pytest.param({"since": NOW}, r"from 2023-11-14T22:13:20\.000\S+ to 2023-11-23"),
    ],
)
def test_what_fits_nothing_is_explained_and_leaves_no_dataset(
    engine: Engine, fields: dict[str, Any], words: str
) -> None:
    insert(engine, ROWS)
    with pytest.raises(DatasetError, match=words):
        create(engine, **fields)
    with reading(engine) as connection:
        assert list_datasets(connection) == []


def test_an_empty_database_and_a_bad_name_are_errors(engine: Engine) -> None:
    with pytest.raises(DatasetError, match="holds no latent yet"):
        create(engine)
    with pytest.raises(DatasetError, match="name of a dataset"):
        create(engine, "Two sites")


def test_the_same_list_again_is_the_same_dataset_and_another_is_refused(engine: Engine) -> None:
    insert(engine, ROWS[:6])
    made = create(engine, "mine")
    again = create_dataset(engine, "mine", Selection(), now=NOW + DAY)
    assert again == (made, False)
    insert(engine, ROWS[6:])
    with pytest.raises(DatasetError, match=r"mine was made on 2026-11-21 of 6 .* 10: .* mine-2"):
        create(engine, "mine")
    assert list_ids(engine, made) == [*range(6)]


def test_what_arrives_while_a_dataset_is_made_waits_for_nobody_and_stays_out(
    engine: Engine,
) -> None:
    insert(engine, ROWS[:9])

    def ingest(done: int) -> None:
        assert done == 9
        insert(engine, ROWS[9:])

    made, _ = create_dataset(engine, "all", Selection(), now=NOW, on_progress=ingest)
    assert list_ids(engine, made) == [*range(9)]


def test_two_that_make_the_same_at_once_get_one_dataset(postgres_engine: Engine) -> None:
    engine = postgres_engine
    insert(engine, ROWS)
    together = Barrier(2)
    made: list[tuple[Dataset, bool]] = []

    def wait(_done: int) -> None:
        together.wait(60)

    def make() -> None:
        made.append(create_dataset(engine, "all", Selection(), now=NOW, on_progress=wait))

    threads = [Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(is_new for _, is_new in made) == [False, True]
    assert made[0][0] == made[1][0]


def test_an_unfinished_replay_gives_no_dataset(engine: Engine) -> None:
    insert(engine, ROWS)
    with writing(engine) as connection:
        connection.execute(replay.insert().values(id=1, request="", report="", started_at=NOW))
    with pytest.raises(DatasetError, match="not finished"):
        create(engine)
    with writing(engine) as connection:
        connection.execute(replay.update().values(finished_at=NOW))
    assert create(engine).rows == len(ROWS)


def test_gone_and_changed_latents_are_found(engine: Engine) -> None:
    insert(engine, ROWS)
    made, part = create(engine), create(engine, "part", labels=("cat",))
    change(engine, 3, received_at=NOW)  # is not of what the site stated
    change(engine, 7, label="cat")
    delete(engine, 9)
    with reading(engine) as connection:
        assert summarise_members(connection, part.id)[1:] == ([], [], part.digest)
        counts, gone, changed, digest = summarise_members(connection, made.id)
    assert (gone, changed) == ([ROWS[9].message_id], [ROWS[7].message_id])
    assert digest == made.digest
    assert (counts.total(), sum(n for stated, n in counts.items() if stated.label == "cat")) == (
        9,
        6,
    )


def test_two_datasets_differ_in_what_is_in_one_and_in_what_changed_between(engine: Engine) -> None:
    insert(engine, ROWS)
    cats = create(engine, "cats", labels=("cat",))
    delete(engine, 0)
    change(engine, 2, value=b"\x01" * 4)
    south = create(engine, "south", sites=("south",))
    ids = [row.message_id for row in ROWS]
    expected = Difference([ids[0], ids[1], ids[3]], [ids[6], ids[8]], [ids[2]])
    assert compare(engine, cats, south) == expected
    assert compare(engine, south, cats) == Difference(*expected[1::-1], expected[2])
    assert compare(engine, cats, cats) == Difference([], [], [])


def test_an_unknown_dataset_is_an_error_that_names_the_known(engine: Engine) -> None:
    with reading(engine) as connection, pytest.raises(DatasetError, match="ioa dataset create"):
        get_dataset(connection, "mine")
    insert(engine, ROWS)
    create(engine, "first")
    create(engine, "second")
    with reading(engine) as connection, pytest.raises(DatasetError, match="first, second"):
        get_dataset(connection, "third")

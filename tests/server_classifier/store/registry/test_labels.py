"""The labels of a deployment: taken once, up to a maximum, by any number of processes."""

from threading import Barrier, Thread

from sqlalchemy import Engine, text

from server_classifier.intake.taken_labels import TakenLabels
from server_classifier.store.database import ensure_current, reading, writing
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.registry.labels import list_labels, take_labels
from tests.server_classifier.stored import make_row


def take(engine: Engine, *labels: str, maximum: int | None = None) -> set[str]:
    with writing(engine) as connection:
        return take_labels(connection, labels, maximum)


def list_taken(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list_labels(connection)


def test_the_first_labels_are_taken(engine: Engine) -> None:
    assert take(engine, "hand", "chest", "head", maximum=2) == {"hand", "chest"}
    assert take(engine, "hand", "knee", maximum=2) == {"hand", "chest"}
    assert list_taken(engine) == ["chest", "hand"]
    assert take(engine, "knee", maximum=3) == {"hand", "chest", "knee"}
    assert take(engine, "a", maximum=1) == {"hand", "chest", "knee"}, "what was taken stays"


def test_labels_that_are_taken_always_pass(engine: Engine) -> None:
    take(engine, *"abcde")
    labels = TakenLabels(engine, 3)
    assert labels.find_surplus(["a", "e", "f", "f", "g"]) == {"f", "g"}
    assert labels.find_surplus(["a", "b", "c", "d", "e"]) == set()


def test_where_there_is_no_room_the_database_is_not_asked(engine: Engine) -> None:
    labels = TakenLabels(engine, 2)
    assert labels.find_surplus(["a", "b", "c"]) == {"c"}
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE label RENAME TO away"))
    assert labels.find_surplus(["a", "d", "c"]) == {"d", "c"}


def test_two_processes_take_no_more_than_the_maximum(engine: Engine) -> None:
    both = Barrier(2)
    surplus: list[str] = []

    def run(name: str) -> None:
        labels = TakenLabels(engine, 50)
        both.wait()
        surplus.extend(labels.find_surplus(f"{name} {number}" for number in range(60)))

    threads = [Thread(target=run, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(list_taken(engine)), len(surplus)) == (50, 70)


def test_labels_of_older_tables_are_taken(engine: Engine) -> None:
    rows = [make_row(number, label=label) for number, label in enumerate(["b", "a", "b", ""])]
    with writing(engine) as connection:
        insert_latents(connection, rows)
        connection.execute(text("DROP TABLE label"))
        connection.execute(text("DROP TABLE skip"))  # which came later
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    assert list_taken(engine) == []
    ensure_current(engine)
    assert list_taken(engine) == ["a", "b"]

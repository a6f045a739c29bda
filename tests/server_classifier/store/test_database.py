import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select, text

from server_classifier.store.database import (
    HEAD,
    current_revision,
    ensure_current,
    open_database,
    reading,
    writing,
)
from server_classifier.store.errors import StoreError, StoreUnavailable
from server_classifier.store.latents.rows import count_latents, insert_latents
from server_classifier.store.migrate import alembic_config, migrate
from server_classifier.store.tables import metadata, site
from tests.server_classifier.stored import make_row


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("ioa.db", "try sqlite:///ioa.db", id="a file name"),
        pytest.param("mysql://localhost/ioa", "use sqlite or postgresql", id="mysql"),
        pytest.param("sqlite://", "name a file", id="in memory"),
        pytest.param("sqlite:///:memory:", "name a file", id="in memory, named"),
        pytest.param("sqlite:////no/such/folder/ioa.db", "no folder /no/such", id="no folder"),
    ],
)
def test_an_unusable_address_is_refused_with_the_remedy(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        open_database(url)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="not writable"):
        open_database(f"sqlite:///{tmp_path}/ioa.db")


def test_opening_neither_connects_nor_creates_the_file(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/ioa.db")
    open_database("postgresql://nobody@127.0.0.1:1/ioa")
    assert list(tmp_path.iterdir()) == []


def test_a_postgresql_that_is_away_is_reported_without_its_password() -> None:
    engine = open_database("postgresql://ioa:secret@127.0.0.1:1/ioa")
    with pytest.raises(StoreUnavailable, match="does not answer") as raised:
        ensure_current(engine)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("page_size", 16384),
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL
        ("wal_autocheckpoint", 4000),
        ("foreign_keys", 1),
    ],
)
def test_sqlite_runs_with_the_settings_that_were_measured(
    sqlite_engine: Engine, pragma: str, value: int | str
) -> None:
    with reading(sqlite_engine) as connection:
        assert connection.scalar(text(f"PRAGMA {pragma}")) == value


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_migrations_make_the_tables_of_the_program(engine: Engine) -> None:
    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    for _ in range(2):
        with writing(engine) as connection:
            migrate(connection, "head")
    assert current_revision(engine) == HEAD


START = """
import sys
from server_classifier.store.database import ensure_current, open_database
ensure_current(open_database(sys.argv[1]))
print("alembic" in sys.modules)
"""


def start_process(url: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", START, url], text=True, stdout=pipe, stderr=pipe)


def test_four_processes_may_start_on_an_empty_database_at_once(database_url: str) -> None:
    processes = [start_process(database_url) for _ in range(4)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    engine = open_database(database_url)
    assert current_revision(engine) == HEAD
    engine.dispose()


def test_a_start_on_current_tables_does_not_import_alembic(engine: Engine) -> None:
    output, errors = start_process(str(engine.url)).communicate()
    assert output.strip() == "False", errors


def test_tables_of_a_newer_program_are_refused(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=rf"revision 9999, made by a newer program.*{HEAD}"):
        ensure_current(engine)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database at all\n" * 100)
    with pytest.raises(StoreError, match=r"notes\.txt: it is no SQLite database") as raised:
        ensure_current(open_database(f"sqlite:///{tmp_path}/notes.txt"))
    assert not isinstance(raised.value, StoreUnavailable)


def test_an_error_inside_a_transaction_undoes_it(engine: Engine) -> None:
    def insert_and_fail() -> None:
        with writing(engine) as connection:
            insert_latents(connection, [make_row(1)])
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        insert_and_fail()
    with reading(engine) as connection:
        assert count_latents(connection) == 0


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(engine: Engine) -> None:
    with reading(engine) as reader:
        assert count_latents(reader) == 0
        with writing(engine) as writer:
            insert_latents(writer, [make_row(1)])
            with reading(engine) as other:
                assert count_latents(other) == 0
        assert count_latents(reader) == 0
    with reading(engine) as reader:
        assert count_latents(reader) == 1


def test_a_second_writer_that_waits_in_vain_says_so(sqlite_engine: Engine) -> None:
    with (
        writing(sqlite_engine),
        pytest.raises(StoreUnavailable, match="another process keeps it locked"),
        writing(sqlite_engine),
    ):
        pytest.fail("two transactions wrote at once")


def test_a_full_disk_is_named_and_nothing_is_half_written(sqlite_engine: Engine) -> None:
    def overfill() -> None:
        with writing(sqlite_engine) as connection:
            pages = connection.scalar(text("PRAGMA page_count"))
            connection.execute(text(f"PRAGMA max_page_count={pages + 1}"))
            insert_latents(connection, [make_row(i, value=bytes(4000)) for i in range(100)])

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        overfill()
    sqlite_engine.dispose()  # the limit belonged to the connection
    with writing(sqlite_engine) as connection:
        assert count_latents(connection) == 0
        assert insert_latents(connection, [make_row(1)]) == []


def test_a_damaged_file_is_named(sqlite_engine: Engine) -> None:
    file = Path(sqlite_engine.url.database or "")
    first_page = file.read_bytes()[:16384]
    file.write_bytes(first_page + b"\xff" * (file.stat().st_size - 16384))
    with (
        pytest.raises(StoreError, match="it is damaged; restore a backup"),
        reading(sqlite_engine) as connection,
    ):
        connection.execute(select(site)).all()


def test_a_wrong_statement_stays_the_error_it_is(engine: Engine) -> None:
    with pytest.raises(Exception, match="colour") as raised, reading(engine) as connection:
        connection.execute(text("SELECT colour FROM site"))
    assert not isinstance(raised.value, StoreError)


def test_times_are_stored_as_milliseconds(engine: Engine) -> None:
    with reading(engine) as connection:
        stored = connection.execute(text("SELECT added_at FROM encoder")).scalar_one()
    assert stored == 1_795_253_400_125

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, text

from server_classifier.store.backup.checking import check_database
from server_classifier.store.database import HEAD, open_database, open_read_only, writing
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.migrate import migrate
from server_classifier.store.positions import move_position, take_position
from server_classifier.store.registry.entries import add_client
from server_classifier.store.tables import client, position
from stream.kafka.offsets import OffsetRange
from tests.server_classifier.stored import NOW, make_row
from tests.support.postgres import DATABASES


@pytest.fixture
def sound(engine: Engine) -> Engine:
    """Three latents at offsets 0 to 2, and the position behind them."""
    offset_range = OffsetRange("ioa.learning", 0, "log", low=0, high=3)
    with writing(engine) as connection:
        add_client(connection, client_id="north-1", site="north", default_encoder=None, now=NOW)
        held = take_position(connection, offset_range, owner="test")
        move_position(connection, held, 3, now=NOW)
        insert_latents(connection, [make_row(number) for number in range(3)])
    return engine


def test_a_sound_database_has_no_findings(sound: Engine) -> None:
    report = check_database(sound)
    assert report.findings == []
    assert report.inventory.revision == HEAD
    assert report.inventory.rows["latent"] == 3
    assert report.server.split()[0] == sound.dialect.name


def test_a_database_is_checked_read_only_while_a_service_writes(sound: Engine) -> None:
    engine = open_read_only(sound.url)
    with writing(sound) as connection:
        connection.execute(position.update().values(next_offset=1))
        assert check_database(engine).findings == [], "it waits for nobody and sees what is kept"
    assert len(check_database(engine).findings) == 1
    engine.dispose()


def test_the_file_of_stopped_services_is_checked_and_stays(sqlite_engine: Engine) -> None:
    """Its log is gone, but it is still a file that wants one."""
    file = Path(sqlite_engine.url.database or "")
    with writing(sqlite_engine) as connection:
        insert_latents(connection, [make_row(1)])
    sqlite_engine.dispose()
    before = file.read_bytes()
    assert not file.with_name("ioa.db-wal").exists()
    assert len(check_database(open_read_only(sqlite_engine.url)).findings) == 2
    assert file.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_on_read_only_media_is_checked(sqlite_engine: Engine, tmp_path: Path) -> None:
    sqlite_engine.dispose()
    tmp_path.chmod(0o500)
    assert check_database(open_read_only(sqlite_engine.url)).findings == []
    assert [path.name for path in tmp_path.iterdir()] == ["ioa.db"]
    tmp_path.chmod(0o700)


def test_rows_behind_their_position_are_found(sound: Engine) -> None:
    with writing(sound) as connection:
        connection.execute(position.update().values(next_offset=1))
    (finding,) = check_database(sound).findings
    assert finding.startswith("ioa.learning[0]: 2 rows up to offset 2, but the position is 1;")


def test_rows_without_a_position_are_found(sound: Engine) -> None:
    with writing(sound) as connection:
        connection.execute(delete(position))
    (finding,) = check_database(sound).findings
    assert "3 rows up to offset 2, but the position is missing" in finding


def test_latents_of_nobody_are_found(sound: Engine) -> None:
    with writing(sound) as connection:
        insert_latents(connection, [make_row(3, encoder_id="e" * 64, topic="old", partition=9)])
        connection.execute(delete(client))
        connection.execute(
            position.insert().values(
                topic="old", partition=9, log_id="", next_offset=4, owner="", epoch=0, moved_at=NOW
            )
        )
    assert check_database(sound).findings == [
        "4 latents of clients that are not registered",
        "1 latents of encoders that are not registered",
    ]


def test_doubled_messages_are_found(postgres_engine: Engine) -> None:
    with writing(postgres_engine) as connection:
        add_client(connection, client_id="north-1", site="north", default_encoder=None, now=NOW)
        connection.execute(text("ALTER TABLE latent DROP CONSTRAINT uq_latent_message_id"))
        insert_latents(connection, [make_row(1), make_row(1)])
    assert "1 latents with the messageID of another" in check_database(postgres_engine).findings


def test_a_damaged_index_is_found(sqlite_engine: Engine) -> None:
    with writing(sqlite_engine) as connection:
        add_client(connection, client_id="north-1", site="north", default_encoder=None, now=NOW)
    sqlite_engine.dispose()
    with closing(sqlite3.connect(sqlite_engine.url.database or "")) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'sqlite_autoindex_site_1') WHERE name = 'sqlite_autoindex_latent_1'"
        )
        connection.commit()
    assert any("latent" in finding for finding in check_database(sqlite_engine).findings)


def test_a_client_of_no_site_is_found(sqlite_engine: Engine) -> None:
    with closing(sqlite3.connect(sqlite_engine.url.database or "")) as connection:
        connection.execute("INSERT INTO client VALUES ('north-1', 'gone', NULL, 0)")
        connection.commit()
    assert check_database(sqlite_engine).findings == [
        "client: row 1 refers to a site that is not there"
    ]


@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize(
    ("revision", "words"), [(None, "there are no tables yet"), ("0001", "revision 0001")]
)
def test_tables_of_another_revision_are_a_finding_and_stay(
    make_database: Callable[[str, Path], str],
    tmp_path: Path,
    kind: str,
    revision: str | None,
    words: str,
) -> None:
    engine = open_database(make_database(kind, tmp_path))
    if revision is not None:
        with writing(engine) as connection:
            migrate(connection, revision)
    report = check_database(engine)
    engine.dispose()
    assert report.inventory.revision == revision
    (finding,) = report.findings
    assert words in finding

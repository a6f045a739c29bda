"""A real SQLite file for each test, with the tables and one encoder in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry import add_encoder
from tests.server_classifier.stored import ENCODER, NOW


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with tables and one encoder, made once."""
    file = tmp_path_factory.mktemp("store") / "ioa.db"
    engine = open_database(f"sqlite:///{file}")
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, ENCODER, now=NOW)
    engine.dispose()
    return file.read_bytes()


@pytest.fixture
def engine(migrated_file: bytes, tmp_path: Path) -> Iterator[Engine]:
    """A database of its own for the test; a lock in it is waited for one tenth of a second."""
    file = tmp_path / "ioa.db"
    file.write_bytes(migrated_file)
    engine = open_database(f"sqlite:///{file}?timeout=0.1")
    yield engine
    engine.dispose()

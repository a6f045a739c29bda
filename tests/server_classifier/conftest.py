"""Databases with the tables and one encoder in them: the same tests run on each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.entries import add_encoder
from stream.kafka.settings import KafkaSettings
from tests.server_classifier.stored import ENCODER, NOW
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.postgres import DATABASES, Postgres
from tests.support.replays import Replayer


def fill(url: str) -> None:
    engine = open_database(url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, ENCODER, now=NOW)
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of an SQLite database with tables and one encoder, made once."""
    file = tmp_path_factory.mktemp("store") / "ioa.db"
    fill(f"sqlite:///{file}")
    return file.read_bytes()


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a PostgreSQL database with the same in it, made once, to be copied."""
    url = postgres.create_database()
    fill(url)
    return make_url(url).database or ""


@pytest.fixture
def sqlite_engine(migrated_file: bytes, tmp_path: Path) -> Iterator[Engine]:
    """An SQLite file of its own; a lock in it is waited for one tenth of a second."""
    file = tmp_path / "ioa.db"
    file.write_bytes(migrated_file)
    engine = open_database(f"sqlite:///{file}?timeout=0.1")
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(migrated_template: str, postgres: Postgres) -> Iterator[Engine]:
    """A PostgreSQL database of its own."""
    url = postgres.create_database(migrated_template)
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture(params=DATABASES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """A database of its own for the test, once of each kind."""
    name = "sqlite_engine" if request.param == "sqlite" else "postgres_engine"
    opened: Engine = request.getfixturevalue(name)
    return opened


@pytest.fixture
def live(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Ingestion]:
    """Topics, and a live database with an encoder and a client."""
    folder = tmp_path / "live"
    folder.mkdir()
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with open_ingestion(settings, f"sqlite:///{folder / 'ioa.db'}", folder) as ingestion:
        yield ingestion


@pytest.fixture
def replayer(live: Ingestion) -> Replayer:
    """Replays of the live learning topic."""
    return Replayer(live)


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The address of a second database to replay into."""
    return f"sqlite:///{tmp_path / 'other.db'}"

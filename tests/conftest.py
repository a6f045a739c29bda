"""Options and fixtures of all tests. Never import from here: shared code lives in tests/support."""

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.broker import open_broker
from tests.support.postgres import DATABASES, Postgres, run_postgres

# The same examples in every run, without a deadline: a busy machine may be slow.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# Child processes import this checkout, whichever folder they run in.
os.environ["PYTHONPATH"] = str(Path(__file__).parent.parent)

logging.getLogger("alembic").setLevel(logging.WARNING)


@pytest.fixture(autouse=True, scope="session")
def log_to_pytest_first() -> None:
    """Let also what session fixtures start log to pytest."""
    _log_to_pytest()


@pytest.fixture(autouse=True)
def log_to_pytest() -> None:
    """Let services in threads log to pytest, not into the output of a command that a test reads.

    Before each test: a command that a test runs in this process configures logs of its own.
    """
    _log_to_pytest()


def _log_to_pytest() -> None:
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kafka-bootstrap",
        metavar="HOST:PORT",
        help="run the tests on this Kafka cluster instead of the embedded broker",
    )
    parser.addoption(
        "--kills", type=int, default=7, help="how often the crash test kills, on each database"
    )
    parser.addoption(
        "--away-seconds",
        type=float,
        default=8.0,
        metavar="SECONDS",
        help="how long broker and database stay away in the crash tests",
    )
    parser.addoption(
        "--fuzz-records",
        type=int,
        default=20_000,
        metavar="COUNT",
        help="how many odd records the services get, with each database",
    )


@pytest.fixture(scope="session")
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one real Kafka broker for the whole session.

    `IOA_TEST_BROKER=docker` runs it in a container.
    """
    given = request.config.getoption("--kafka-bootstrap")
    kind = os.environ.get("IOA_TEST_BROKER")
    with open_broker(given, kind, tmp_path_factory.mktemp("kafka")) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One real PostgreSQL server for the whole session."""
    with run_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def make_database(request: pytest.FixtureRequest) -> Callable[[str, Path], str]:
    """Make an empty database of a kind (for SQLite in a folder) and return its URL."""

    def make(kind: str, folder: Path) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder / 'ioa.db'}"
        server: Postgres = request.getfixturevalue("postgres")
        return server.create_database()

    return make


@pytest.fixture(params=DATABASES)
def database_url(
    request: pytest.FixtureRequest, make_database: Callable[[str, Path], str], tmp_path: Path
) -> str:
    """The URL of an empty database for one test, once for each kind of database."""
    return make_database(request.param, tmp_path)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for one test, so that no test sees the topics of another."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def find_data() -> Callable[[str], Path]:
    """Find a real data set by its file name in `IOA_DATA_DIR`, or skip the test."""

    def find(name: str) -> Path:
        folder = os.environ.get("IOA_DATA_DIR")
        if not folder:
            pytest.skip(f"needs {name}: set IOA_DATA_DIR to the folder that holds it")
        path = Path(folder) / name
        if not path.exists():
            pytest.skip(f"{name} is not in {folder}: set IOA_DATA_DIR to the folder that holds it")
        return path

    return find

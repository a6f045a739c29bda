"""Five clients publish during an outage: all messages arrive and memory stays bounded.

``pytest -m crash -rP --away-seconds 60 tests/crash/test_outages.py`` makes the outages longer.
"""

import time
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from client_autoencoder.errors import OutboxError
from client_autoencoder.outbox.reading import read_status
from stream.broker.embedded import EmbeddedBroker
from tests.support.deployment import Deployment
from tests.support.message_counts import count_rows, list_sent
from tests.support.outages import Outage, broker_away
from tests.support.processes import IoaProcess
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

CLIENTS = tuple(f"radiology-{number}" for number in range(1, 6))
IMAGES_A_SECOND = 400
MOST_GROWTH = 128 * 2**20
"""Bytes by which a process may grow during an outage of any length."""


@pytest.fixture
def clients() -> tuple[str, ...]:
    return CLIENTS


@pytest.fixture
def away_seconds(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--away-seconds"))


@pytest.fixture
def data(image_file: Path, away_seconds: float, tmp_path: Path) -> Path:
    """A file with enough images to send during the whole outage."""
    count = round(IMAGES_A_SECOND * away_seconds)
    with np.load(image_file) as images:
        many: dict[str, Any] = {
            name: np.resize(images[name], (count, *images[name].shape[1:])) for name in images
        }
    path = tmp_path / "many.npz"
    np.savez(path, **many)
    return path


@dataclass
class Memory:
    """Resident bytes of processes by name: at first, and at most."""

    processes: dict[str, IoaProcess | psutil.Process]
    first: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)

    def watch(self, until: float) -> None:
        """Measure the running processes ten times a second."""
        while time.monotonic() < until:
            for name, process in self.processes.items():
                with suppress(psutil.NoSuchProcess):
                    size = psutil.Process(process.pid).memory_info().rss
                    self.first.setdefault(name, size)
                    self.most[name] = max(size, self.most.get(name, 0))
            time.sleep(0.1)

    @property
    def growth(self) -> int:
        """The largest growth of any process since the first measurement."""
        return max(self.most[name] - self.first[name] for name in self.first)

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {self.first[name] >> 20} to {self.most[name] >> 20} MiB" for name in self.first
        )


def count_encoded(deployment: Deployment, client: str) -> int:
    """Return how many messages a client has put into its outbox."""
    try:
        return read_status(deployment.directory / "outbox" / f"{client}.db").encoded
    except OutboxError:  # it has not begun
        return 0


def publish_through(
    deployment: Deployment, data: Path, outage: AbstractContextManager[None], seconds: float
) -> None:
    """Let all clients publish; the outage begins when the first messages are stored."""
    publish = ("client", "publish", "--data", data, "--json")

    def count() -> list[int]:
        return [count_encoded(deployment, client) for client in CLIENTS]

    with ExitStack() as running:
        server = running.enter_context(deployment.start("server", "run"))
        server.wait_for("reading begins")
        clients = {
            name: running.enter_context(deployment.start(*publish, client=name)) for name in CLIENTS
        }
        wait_until(lambda: all(count()) and deployment.count_stored() > 0, "they do not begin")
        memory = Memory({**clients, "ingest": server.children()["ingest"]})
        before = sum(count())
        with outage:
            memory.watch(until=time.monotonic() + seconds)
            meanwhile = sum(count()) - before
        while any(client.exit_code is None for client in clients.values()):
            memory.watch(until=time.monotonic() + 1)
        reports = [client.finish() for client in clients.values()]
    counts = count_rows(deployment.engine, list_sent(deployment.kafka))
    print(f"{counts}, {meanwhile} of them encoded during an outage of {seconds:.0f} s")
    print(memory)
    assert counts.exact
    assert counts.sent == sum(report["acknowledged"] for report in reports)
    assert meanwhile > 0
    assert memory.growth < MOST_GROWTH


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_five_clients_publish_while_the_broker_is_away(
    deployment: Deployment, broker: EmbeddedBroker, data: Path, away_seconds: float
) -> None:
    publish_through(deployment, data, broker_away(broker), away_seconds)


def test_five_clients_publish_while_the_database_is_away(
    deployment: Deployment, database_away: Outage, data: Path, away_seconds: float
) -> None:
    publish_through(deployment, data, database_away(), away_seconds)

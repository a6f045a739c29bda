"""Three Kafka brokers, each of them a controller too, that hold copies of each other's records."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from stream.broker.embedded import prepare_jvm
from stream.broker.jvm import Jvm
from stream.broker.launch import answers
from stream.broker.properties import (
    HOST,
    IDENTITY,
    LOG4J2_XML,
    LOG_SETTINGS,
    PROPERTIES,
    SERVER_PROPERTIES,
    Ports,
)
from stream.lifetime import bind_to_parent
from tests.support.probe import find_free_address
from tests.support.waiting import LONG, wait_until

NUMBERS = (1, 2, 3)
CLUSTER_ID = "three-brokers-0000000A"  # 22 characters of base64url, as Kafka's own

# Kafka takes the last of two equal names.
REPLICATED = """
node.id={number}
controller.quorum.voters={voters}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
replica.lag.time.max.ms=5000
"""


class ThreeBrokers:
    """A cluster in which any one broker may die."""

    def __init__(self, directory: Path, jvm: Jvm) -> None:
        self._directory = directory
        self._jvm = jvm
        self._ports = {number: _find_free_ports() for number in NUMBERS}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number in NUMBERS:
            self._write(number)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all three."""
        return ",".join(ports.bootstrap_servers for ports in self._ports.values())

    def start(self, number: int) -> None:
        """Start a broker, again on the same data and ports."""
        folder = self._folder(number)
        with (folder / "console.log").open("ab") as console:
            self._processes[number] = subprocess.Popen(
                bind_to_parent(self._jvm.command()), cwd=folder, stdout=console, stderr=console
            )

    def kill(self, number: int) -> None:
        """End a broker with SIGKILL."""
        self._processes[number].kill()
        self._processes[number].wait(LONG)

    def kill_all(self) -> None:
        """End what runs."""
        for number in self._processes:
            self.kill(number)

    def await_answers(self) -> None:
        """Wait until all three answer."""
        nodes = [(self._folder(number), ports) for number, ports in self._ports.items()]
        wait_until(lambda: all(answers(*node) for node in nodes), "not all three brokers answer")

    def await_copies(self) -> None:
        """Wait until every partition has all its copies again."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        wait_until(lambda: not _find_lagging(admin), "copies are missing")

    def _folder(self, number: int) -> Path:
        return self._directory / f"broker-{number}"

    def _write(self, number: int) -> None:
        """Write what a broker of ours is started with, and which of the three it is."""
        folder, ports = self._folder(number), self._ports[number]
        (folder / IDENTITY).parent.mkdir(parents=True)
        identity = f"version=1\nnode.id={number}\ncluster.id={CLUSTER_ID}\n"
        (folder / IDENTITY).write_text(identity)
        voters = ",".join(f"{one}@{HOST}:{self._ports[one].controller}" for one in NUMBERS)
        alone = SERVER_PROPERTIES.format(
            host=HOST, client=ports.client, controller=ports.controller, fixed="true"
        )
        replicated = REPLICATED.format(number=number, voters=voters)
        (folder / PROPERTIES).write_text(alone + replicated)
        (folder / LOG_SETTINGS).write_text(LOG4J2_XML)


def _find_free_ports() -> Ports:
    """Return ports that no connection takes while a broker is down."""
    port = int(find_free_address(ports=2).rpartition(":")[2])
    return Ports(port, port + 1, fixed=True)


def _find_lagging(admin: AdminClient) -> list[str]:
    """Return the topics with a partition whose copies are not all up to date."""
    return [
        name
        for name, topic in admin.list_topics(timeout=10).topics.items()
        for part in topic.partitions.values()
        if len(part.isrs) < len(NUMBERS)
    ]


@contextmanager
def run_three_brokers(directory: Path) -> Iterator[ThreeBrokers]:
    """Run three brokers until the block ends."""
    brokers = ThreeBrokers(directory, prepare_jvm(print))
    try:
        for number in NUMBERS:
            brokers.start(number)
        brokers.await_answers()
        yield brokers
    finally:
        brokers.kill_all()

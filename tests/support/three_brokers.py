"""Three Kafka brokers, each also a controller, that replicate each other's records."""

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

# Of two lines with the same name, Kafka takes the last.
REPLICATED = """
node.id={number}
controller.quorum.voters={voters}
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
replica.lag.time.max.ms=5000
"""


class ThreeBrokers:
    """A cluster that survives the loss of any one broker."""

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
        """Start a broker, always on the same data and ports."""
        folder = self._folder(number)
        with (folder / "console.log").open("ab") as console:
            self._processes[number] = subprocess.Popen(
                bind_to_parent(self._jvm.command()), cwd=folder, stdout=console, stderr=console
            )

    def kill(self, number: int) -> None:
        """Kill a broker with SIGKILL."""
        self._processes[number].kill()
        self._processes[number].wait(LONG)

    def kill_all(self) -> None:
        """Kill all brokers."""
        for number in self._processes:
            self.kill(number)

    def await_answers(self) -> None:
        """Wait until all three answer."""
        nodes = [(self._folder(number), ports) for number, ports in self._ports.items()]
        wait_until(lambda: all(answers(*node) for node in nodes), "not all three brokers answer")

    def await_replicas(self) -> None:
        """Wait until all replicas of every partition are in sync again."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        wait_until(lambda: not _find_lagging(admin), "replicas are out of sync")

    def _folder(self, number: int) -> Path:
        return self._directory / f"broker-{number}"

    def _write(self, number: int) -> None:
        """Write the files that a broker starts with, among them its number."""
        folder, ports = self._folder(number), self._ports[number]
        (folder / IDENTITY).parent.mkdir(parents=True)
        identity = f"version=1\nnode.id={number}\ncluster.id={CLUSTER_ID}\n"
        (folder / IDENTITY).write_text(identity)
        voters = ",".join(f"{voter}@{HOST}:{self._ports[voter].controller}" for voter in NUMBERS)
        properties = SERVER_PROPERTIES.format(
            host=HOST, client=ports.client, controller=ports.controller, fixed="true"
        )
        replicated = REPLICATED.format(number=number, voters=voters)
        (folder / PROPERTIES).write_text(properties + replicated)
        (folder / LOG_SETTINGS).write_text(LOG4J2_XML)


def _find_free_ports() -> Ports:
    """Return two ports that no connection takes while a broker is down."""
    port = int(find_free_address(ports=2).rpartition(":")[2])
    return Ports(port, port + 1, fixed=True)


def _find_lagging(admin: AdminClient) -> list[str]:
    """Return the topics of which some replica is out of sync."""
    return [
        name
        for name, topic in admin.list_topics(timeout=10).topics.items()
        for partition in topic.partitions.values()
        if len(partition.isrs) < len(NUMBERS)
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

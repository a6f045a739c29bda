"""What a broker's directory holds: properties, log settings, identity and ports.

All paths inside are relative, and the broker runs in its directory. So the directory may be moved,
and may have any name.
"""

import base64
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from stream.artefacts.atomic_file import write_atomically
from stream.broker.errors import BrokerError, PortTaken

HOST = "127.0.0.1"
PROPERTIES = "server.properties"
LOG_SETTINGS = "log4j2.xml"
LOG = "logs/server.log"
CONSOLE = "console.log"
IDENTITY = "data/meta.properties"
OWN_FILES = (PROPERTIES, LOG_SETTINGS, CONSOLE, "logs", "data")
"""What a broker writes into its directory, beside its process id."""

FIXED = "ioa.port.fixed"

SERVER_PROPERTIES = """\
# Written by ioa at every start: changes made here are lost.
ioa.port.fixed={fixed}
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=data
auto.create.topics.enable=false

# One broker holds the only copy of everything.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# Small and quick: few internal partitions, no waiting for more group members, a log cleaner of
# 2 MiB instead of 128, and a killed broker back in 3 s because its old registration expires soon.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
"""

# Each start begins a new file, so that the lines of a failed start stand alone.
LOG4J2_XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <RollingFile name="file" fileName="logs/server.log" filePattern="logs/server-%i.log">
      <PatternLayout pattern="%d{ISO8601} %-5p %c{2} - %m%n"/>
      <Policies>
        <OnStartupTriggeringPolicy/>
        <SizeBasedTriggeringPolicy size="10MB"/>
      </Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a broker listens on 127.0.0.1; `fixed` when a person chose the client port."""

    client: int
    controller: int
    fixed: bool

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port``."""
        return f"{HOST}:{self.client}"


def choose_ports(client: int | None = None) -> Ports:
    """Return free ports for the controller and, unless it is given, for clients."""
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        free, controller = first.getsockname()[1], second.getsockname()[1]
    return Ports(free if client is None else client, controller, fixed=client is not None)


def refuse_taken(ports: Ports) -> None:
    """Raise PortTaken when another program listens on one of the ports."""
    for port in (ports.client, ports.controller):
        with socket.socket() as probe:
            # As Java does: connections of the last start that still linger do not matter.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise PortTaken(port) from error


def read_ports(directory: Path) -> Ports | None:
    """Return the ports of the last start in this directory; None before the first.

    Raises:
        BrokerError: the directory belongs to a Kafka that is not ours.
    """
    path = directory / PROPERTIES
    if not path.exists():
        return None
    properties = _read_properties(path)
    if FIXED not in properties:
        raise BrokerError(
            f"{path} was not written by ioa and would be lost: name another directory"
        )
    client, controller = (int(url.rpartition(":")[2]) for url in properties["listeners"].split(","))
    return Ports(client, controller, fixed=properties[FIXED] == "true")


def read_cluster_id(directory: Path) -> str:
    """Return the cluster id in the directory's `meta.properties`."""
    return _read_properties(directory / IDENTITY)["cluster.id"]


def write_settings(directory: Path, ports: Ports) -> None:
    """Write `server.properties` and `log4j2.xml` for the next start."""
    fixed = str(ports.fixed).lower()
    properties = SERVER_PROPERTIES.format(
        host=HOST, client=ports.client, controller=ports.controller, fixed=fixed
    )
    # Whole: on a full disk the old file stays instead of half a new one.
    write_atomically(directory / PROPERTIES, properties.encode())
    write_atomically(directory / LOG_SETTINGS, LOG4J2_XML.encode())


def write_identity(directory: Path) -> None:
    """Format a new directory as Kafka's StorageTool does, without its 0.8 s of Java.

    A directory that was formatted before keeps its identity, and so its data.
    """
    path = directory / IDENTITY
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = f"version=1\nnode.id=1\ncluster.id={_random_id()}\ndirectory.id={_random_id()}\n"
    write_atomically(path, identity.encode())


def _random_id() -> str:
    """Return Kafka's form of a UUID: 22 characters of base64url, never with ``-`` in front."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))[0] == "-":
        pass
    return text


def _read_properties(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="latin-1").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return dict(pairs)

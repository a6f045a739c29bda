"""A Kafka broker that outlives the command that started it and is found by its directory."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from stream.broker.class_path import Announce
from stream.broker.embedded import prepare_jvm
from stream.broker.errors import BrokerError
from stream.broker.launch import STOP_SECONDS, answers, launch
from stream.broker.pidfile import find_broker, forget_pid
from stream.broker.properties import read_ports

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """The broker of a directory; `pid` is None when none runs."""

    directory: Path
    pid: int | None = None
    bootstrap_servers: str | None = None
    ready: bool = False


def start_daemon(
    directory: Path, *, port: int | None = None, announce: Announce = logger.info
) -> BrokerStatus:
    """Start a broker that stays when this process ends; return once it answers.

    Raises:
        BrokerError: see `prepare_jvm` and `launch`.
    """
    broker = launch(directory, prepare_jvm(announce), port=port, owned=False)
    return BrokerStatus(directory, broker.process.pid, broker.ports.bootstrap_servers, ready=True)


def read_status(directory: Path) -> BrokerStatus:
    """Tell whether the broker of this directory runs and answers."""
    process = find_broker(directory)
    ports = read_ports(directory) if process else None
    if process is None or ports is None:
        return BrokerStatus(directory)
    ready = answers(directory, ports)
    return BrokerStatus(directory, process.pid, ports.bootstrap_servers, ready)


def stop_daemon(directory: Path) -> bool:
    """Stop the broker of this directory in order; return False when none runs.

    Raises:
        BrokerError: it does not end; it is not killed, because it may be writing.
    """
    if (process := find_broker(directory)) is None:
        return False
    process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    # Not by waiting for the process id: in a container without an init it stays as a zombie.
    while find_broker(directory) is not None:
        if time.monotonic() > deadline:
            raise BrokerError(
                f"process {process.pid} has not stopped after {STOP_SECONDS:.0f} s: wait, or kill "
                "it; what was acknowledged stays on disk either way"
            )
        time.sleep(0.05)
    forget_pid(directory, process.pid)
    return True

"""Starting one broker process in its directory and waiting until it answers."""

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.artefacts.private import make_private_file, make_private_folder, tighten_tree
from stream.broker.errors import BrokerError, PortTaken, explaining_disk
from stream.broker.jvm import Jvm
from stream.broker.pidfile import find_broker, forget_pid, forget_stale_pid, record_pid
from stream.broker.properties import (
    CONSOLE,
    HOST,
    LOG,
    OWN_FILES,
    Ports,
    choose_ports,
    read_cluster_id,
    read_ports,
    refuse_taken,
    write_identity,
    write_settings,
)
from stream.lifetime import bind_to_parent

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
START_ATTEMPTS = 3
FULL_DISK = 2**20
"""With fewer free bytes than this, a full disk is named as the cause of a broker's death."""

ORDERLY_EXITS = (0, 128 + signal.SIGTERM)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker process that answered, and where."""

    directory: Path
    process: subprocess.Popen[bytes]
    ports: Ports


def launch(directory: Path, jvm: Jvm, *, port: int | None = None, owned: bool) -> RunningBroker:
    """Start a broker on the data of `directory` and return once it answers.

    Without `port` the ports of the last start are used again. Ports that no person chose are
    replaced when another program has taken them meanwhile.

    Args:
        directory: made when it is missing; its topics and offsets are kept between starts.
        jvm: Java and the verified jars.
        port: the client port on 127.0.0.1.
        owned: whether the broker dies with the calling thread (Linux) however that ends.

    Raises:
        PortTaken: another program listens on the chosen port.
        BrokerError: the directory is in use or not writable, or the broker died or hangs.
    """
    with explaining_disk(directory):
        make_private_folder(directory)
        _refuse_second(directory)
        kept = read_ports(directory)
        write_identity(directory)
        for name in OWN_FILES:
            tighten_tree(directory / name)
    ports = choose_ports(port) if port else kept or choose_ports()
    for _ in range(START_ATTEMPTS - 1):
        try:
            return _launch_on(ports, directory, jvm, owned)
        except PortTaken as error:
            if ports.fixed:
                raise
            logger.info("%s; trying other ports", error)
            ports = choose_ports()
    return _launch_on(ports, directory, jvm, owned)


def stop(broker: RunningBroker, seconds: float = STOP_SECONDS) -> None:
    """End the process by SIGTERM, which closes its log files, or after `seconds` by SIGKILL."""
    process = broker.process
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        logger.warning("the broker did not stop within %s s and was killed", seconds)
    finally:  # also when a second Ctrl-C ends the waiting
        process.kill()
        process.wait()
        forget_pid(broker.directory, process.pid)


def answers(directory: Path, ports: Ports, timeout: float = 1.0) -> bool:
    """Tell whether the broker of this directory, and not another one, answers at its port.

    Args:
        timeout: seconds to wait for a reply once the port is open.
    """
    try:
        socket.create_connection((HOST, ports.client), timeout=0.2).close()
        admin = AdminClient({"bootstrap.servers": ports.bootstrap_servers, "log_level": 0})
        metadata = admin.list_topics(timeout=timeout)
    except (OSError, KafkaException):
        return False
    return bool(metadata.brokers) and metadata.cluster_id == read_cluster_id(directory)


def explain_death(directory: Path, exit_code: int) -> BrokerError:
    """Return the error for a broker that ended by itself, with the last lines it wrote."""
    text = "\n  ".join(_read_last_lines(directory)) or "(nothing)"
    if taken := re.search(r"bind to \S+:(\d+): Address already in use", text):
        return PortTaken(int(taken[1]))
    advice = "mend what it names and start again"
    # Measured, not read from the log: on a full disk that ends before it says why.
    if shutil.disk_usage(directory).free < FULL_DISK:
        advice = f"free some space for {directory} and start again"
    end = f"ended with exit code {exit_code}"
    if exit_code < 0:
        end = f"was killed by {signal.Signals(-exit_code).name}"
    return BrokerError(
        f"the broker in {directory} {end}: {advice}. "
        f"It last wrote (more in {directory / LOG}):\n  {text}"
    )


def _refuse_second(directory: Path) -> None:
    if (running := find_broker(directory)) is not None:
        raise BrokerError(
            f"process {running.pid} already runs the broker of {directory}: "
            "use that one, stop it, or name another directory"
        )
    forget_stale_pid(directory)


def _launch_on(ports: Ports, directory: Path, jvm: Jvm, owned: bool) -> RunningBroker:
    refuse_taken(ports)
    with explaining_disk(directory):
        write_settings(directory, ports)
    broker = RunningBroker(directory, _spawn(jvm.command(), directory, owned), ports)
    try:
        with explaining_disk(directory):
            record_pid(directory, broker.process.pid)
        _await_ready(broker)
    except BaseException:
        stop(broker)
        raise
    return broker


def _spawn(command: list[str], directory: Path, owned: bool) -> subprocess.Popen[bytes]:
    with explaining_disk(directory):
        make_private_file(directory / CONSOLE)
        console = (directory / CONSOLE).open("wb")
    with console:
        return subprocess.Popen(  # noqa: S603 (the command is ours, its jars are verified)
            bind_to_parent(command) if owned else command,
            cwd=directory,
            # Records are nobody else's business, and Java asks only the umask.
            umask=0o077 if os.name == "posix" else -1,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            # Ctrl-C in the terminal is for the parent, which then stops the broker in order.
            start_new_session=True,
        )


def _await_ready(broker: RunningBroker) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        exit_code = broker.process.poll()
        if exit_code is not None:
            raise explain_death(broker.directory, exit_code)
        if answers(broker.directory, broker.ports):
            return
        time.sleep(0.02)
    raise BrokerError(
        f"the broker did not answer at {broker.ports.bootstrap_servers} within {READY_SECONDS:.0f} "
        f"s and was stopped; see {broker.directory / LOG} and {broker.directory / CONSOLE}"
    )


def _read_last_lines(directory: Path, count: int = 6) -> list[str]:
    """Return the end of what the last start wrote: only errors where there are any, no traces."""
    lines = [
        line
        for path in (directory / CONSOLE, directory / LOG)
        if path.exists()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if line and not line.startswith(("\t", "WARNING:", "["))
    ]
    errors = [line for line in lines if re.search("ERROR|Error|Exception", line)]
    return (errors or lines)[-count:]

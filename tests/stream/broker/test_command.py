"""`ioa broker` as a person uses it, and what becomes of its broker when it ends."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.commands import IOA
from tests.support.waiting import LONG, wait_until


class Command:
    """Runs `ioa broker` on one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pid_file = directory / "broker.pid"

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*IOA, "broker", *arguments, "--directory", str(self.directory)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "--json").stdout)
        return found

    def spawn(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [*IOA, "broker", *arguments, "--directory", str(self.directory)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path / "broker")
    yield command
    if command.pid_file.exists():
        command("stop")


def test_a_started_broker_stays_until_it_is_stopped(broker: Command) -> None:
    started = broker("start")
    assert started.returncode == 0, started.stderr
    status = broker.status()
    assert status["ready"]
    assert f"ioa topic create --bootstrap-servers {status['bootstrap_servers']}" in started.stdout
    assert f"ioa broker stop --directory {broker.directory}" in started.stdout

    again = broker("start")
    assert (again.returncode, again.stdout[:15]) == (0, "Already running")
    elsewhere = broker("start", "--port", "1")
    assert elsewhere.returncode == 1
    assert "stop it first" in elsewhere.stderr

    stopped = broker("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "The broker is stopped.\n")
    assert not is_alive(status["pid"])
    assert (broker.directory / "data" / ".kafka_cleanshutdown").exists()


def test_no_broker_is_said_and_shown_by_the_exit_code(broker: Command) -> None:
    status = broker("status")
    assert (status.returncode, status.stdout) == (3, f"No broker runs in {broker.directory}.\n")
    assert broker("stop").returncode == 0


def test_an_error_is_one_message_without_a_traceback(broker: Command) -> None:
    broker.directory.touch()
    started = broker("start")
    assert started.returncode == 1
    assert started.stderr.startswith(f"ioa: cannot write {broker.directory}")
    assert "Traceback" not in started.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)
def test_a_foreground_broker_ends_with_its_command(broker: Command, number: signal.Signals) -> None:
    with broker.spawn("start", "--foreground") as command:
        assert command.stdout is not None
        assert "Apache Kafka answers at" in command.stdout.readline()
        pid = int(broker.pid_file.read_text())
        command.send_signal(number)

        assert command.wait(LONG) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), f"process {pid} outlived its parent")
    assert (broker.directory / "data" / ".kafka_cleanshutdown").exists()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits for its parent to notice its end does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

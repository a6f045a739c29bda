"""A deployment under load: its server and clients are restarted whenever they end."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Self

from tests.support.deployment import Deployment
from tests.support.processes import IoaProcess
from tests.support.waiting import LONG, wait_until

KILLED = -signal.SIGKILL


@dataclass
class BusyDeployment:
    """Runs ``ioa server run``, one client that asks, and others that publish the same images.

    The supervisor restarts the services. This class restarts the supervisor and the clients, as
    the system of their machine would.

    Args:
        asker: the client of the deployment that asks; all others publish.
        data: file of the images.
        random: chooses the client that is killed.
    """

    deployment: Deployment
    asker: str
    data: Path
    random: Random
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publishers = [name for name in self.deployment.clients if name != self.asker]
        self._server = self._start_server()
        self._clients: dict[str, IoaProcess] = {}

    def run(self, seconds: float) -> None:
        """Restart whatever ends, for this many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._restart_server()
            for name in self.deployment.clients:
                self._restart_client(name)
            time.sleep(0.05)

    def run_until_stored(self, count: int) -> None:
        """Run until ``count`` more messages are stored."""
        goal = self.deployment.count_stored() + count
        deadline = time.monotonic() + LONG
        while (stored := self.deployment.count_stored()) < goal:
            assert time.monotonic() < deadline, f"stored {stored}, and then nothing more"
            self.run(0.1)

    def train_classifier(self) -> None:
        """Let one client publish, and wait until the server has trained a classifier."""
        name = self.publishers[0]
        self.deployment.start(*self._make_command(name), client=name).finish()
        wait_until(self.deployment.has_classifier, "no classifier is trained")

    def kill_client(self) -> None:
        """Kill one of the running clients."""
        self._clients[self.random.choice(self.deployment.clients)].kill()

    def kill_server(self) -> None:
        """Kill the supervisor; its services end with it."""
        self._server.kill()

    def kill_services(self, *names: str) -> None:
        """Wait until these services run, and kill them at the same moment."""
        wait_until(lambda: set(names) <= set(self._server.children()), f"{names} do not run")
        children = self._server.children()
        for name in names:
            children[name].kill()

    def finish(self) -> dict[str, dict[str, Any]]:
        """Let the clients end and drain their outboxes; return the status of each."""
        self._restart_server()
        for name, process in self._clients.items():
            process.wait()
            self._note(name, process)
        for name in self.deployment.clients:
            drained = self._run_client(name, "outbox", "drain")
            assert drained["waiting"] == 0, drained
        return {
            name: self._run_client(name, "client", "status") for name in self.deployment.clients
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._clients.values():
            process.kill()
        self._server.stop()

    def _run_client(self, name: str, *command: str) -> dict[str, Any]:
        return self.deployment.start(*command, "--json", client=name).finish()

    def _start_server(self) -> IoaProcess:
        return self.deployment.start("server", "run")

    def _restart_server(self) -> None:
        if self._server.exit_code is not None:
            self._note("server", self._server)
            self._server = self._start_server()

    def _restart_client(self, name: str) -> None:
        process = self._clients.get(name)
        if process is not None:
            if process.exit_code is None:
                return
            self._note(name, process)
        self._clients[name] = self.deployment.start(*self._make_command(name), client=name)

    def _make_command(self, name: str) -> Sequence[object]:
        if name == self.asker:
            return "client", "ask", "--data", self.data, "--json"
        return "client", "publish", "--data", self.data, "--json"

    def _note(self, name: str, process: IoaProcess) -> None:
        """Note a process that ended with an unexpected exit code."""
        # The asker exits with 1 after questions that came before the first model.
        expected = (0, 1, KILLED) if name == self.asker else (0, KILLED)
        if process.exit_code not in expected:
            self.failures.append(f"{name} ended with {process.exit_code}: {process.log}")

"""The server and the clients of a deployment at work, each started again when it ends."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from tests.support.deployment import Deployment
from tests.support.processes import IoaProcess
from tests.support.waiting import LONG, wait_until

KILLED = -signal.SIGKILL


@dataclass
class Crew:
    """``ioa server run``, a client that asks, and others that publish the same images for ever.

    The supervisor restarts the services; the supervisor itself and the clients are restarted here,
    as the system of their machine would.

    Args:
        asker: one of the deployment's clients; all others publish.
        data: the images.
        random: which client is killed.
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

    def work(self, seconds: float) -> None:
        """Keep everybody busy for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._tend_server()
            for name in self.deployment.clients:
                self._tend_client(name)
            time.sleep(0.05)

    def work_off(self, count: int) -> None:
        """Keep everybody busy until so many more messages are stored."""
        goal = self.deployment.count_stored() + count
        deadline = time.monotonic() + LONG
        while (stored := self.deployment.count_stored()) < goal:
            assert time.monotonic() < deadline, f"stored {stored}, and then nothing more"
            self.work(0.1)

    def learn(self) -> None:
        """Let one client publish until the server has trained a classifier."""
        name = self.publishers[0]
        self.deployment.start(*self._make_command(name), client=name).finish()
        wait_until(self.deployment.has_classifier, "no classifier is trained")

    def kill_client(self) -> None:
        """Kill a client that is at work."""
        self._clients[self.random.choice(self.deployment.clients)].kill()

    def kill_server(self) -> None:
        """Kill the supervisor; its services end with it."""
        self._server.kill()

    def kill_services(self, *names: str) -> None:
        """Kill services of the server at the same moment, once they all run."""
        wait_until(lambda: set(names) <= set(self._server.children()), f"{names} do not run")
        children = self._server.children()
        for name in names:
            children[name].kill()

    def finish(self) -> dict[str, dict[str, Any]]:
        """Let the clients end and send what still waits; return what their status then says."""
        self._tend_server()
        for name, process in self._clients.items():
            process.wait()
            self._note(name, process)
        for name in self.deployment.clients:
            drained = self._run_client(name, "outbox", "drain")
            assert drained["waiting"] == 0, drained
        return {name: self._run_client(name, "status") for name in self.deployment.clients}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._clients.values():
            process.kill()
        self._server.stop()

    def _run_client(self, name: str, *command: str) -> dict[str, Any]:
        return self.deployment.start("client", *command, "--json", client=name).finish()

    def _start_server(self) -> IoaProcess:
        return self.deployment.start("server", "run")

    def _tend_server(self) -> None:
        if self._server.exit_code is not None:
            self._note("server", self._server)
            self._server = self._start_server()

    def _tend_client(self, name: str) -> None:
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
        """Note who ended by itself in another way than it should."""
        # An asker is told of questions that came before the first model: that is no failure.
        expected = (0, 1, KILLED) if name == self.asker else (0, KILLED)
        if process.exit_code not in expected:
            self.failures.append(f"{name} ended with {process.exit_code}: {process.log}")

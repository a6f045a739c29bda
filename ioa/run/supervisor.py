"""The server's services as child processes: started together, restarted when one exits.

Each child reads the same settings from its environment, so that ``ioa server ingest`` is the same
program whether a person or the supervisor starts it.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from threading import Event

import structlog

from ioa.run.children_health import ChildrenHealth, choose_addresses, serve_health
from ioa.run.termination import terminate
from ioa.settings import Settings
from server_classifier.operations.service import await_database, prepare_live
from stream.health import Health
from stream.lifetime import bind_to_parent

SERVICES = ("ingest", "infer", "train")
_POLL_SECONDS = 0.1
_STOP_SECONDS = 15.0
_STEADY_SECONDS = 10.0
_LONGEST_DELAY = 30.0


@dataclass
class _Service:
    """One child process; ``delay`` is the wait before its next restart, in seconds."""

    name: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    delay: float = 0.0

    def start(self) -> int:
        """Start the process and return its id."""
        # -P: a schemas.py of the user in the current folder is not taken for our package.
        command = [sys.executable, "-P", "-m", "ioa", "server", self.name]
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            bind_to_parent(command), env=self.environment
        )
        self.started_at = time.monotonic()
        return self.process.pid

    def note_exit(self) -> int | None:
        """Return the exit code once, and schedule the restart: at once, then with growing delay."""
        code = None if self.process is None else self.process.poll()
        if code is not None:
            steady = time.monotonic() - self.started_at > _STEADY_SECONDS
            self.delay = 0.0 if steady else min(max(2 * self.delay, 0.5), _LONGEST_DELAY)
            self.restart_at = time.monotonic() + self.delay
            self.process = None
        return code


def supervise_server(settings: Settings, stop: Event) -> None:
    """Run ingest, infer and train until ``stop`` is set, then let them finish.

    The database is migrated first, so that the services find their tables.
    """
    health = Health(time.monotonic)
    addresses = choose_addresses(settings.server.health, SERVICES)
    with serve_health(settings.server.health, addresses, health) as children:
        if await_database(settings.server, stop, health, prepare_live) is None:
            return
        services = [
            _Service(name, _child_environment(settings, addresses.get(name))) for name in SERVICES
        ]
        health.begin()
        try:
            while not stop.is_set():
                health.heartbeat()
                for service in services:
                    _keep_running(service, children)
                stop.wait(_POLL_SECONDS)
        finally:
            running = [service.process for service in services if service.process is not None]
            terminate(running, _STOP_SECONDS)


def _child_environment(settings: Settings, health: str | None) -> dict[str, str]:
    server = settings.server.model_copy(update={"health": health})
    child = settings.model_copy(update={"server": server})
    return child.child_environment(os.environ)


def _keep_running(service: _Service, children: ChildrenHealth) -> None:
    log = structlog.get_logger()
    if (code := service.note_exit()) is not None:
        log.error("service died", name=service.name, exit_code=code)
    if service.process is None and time.monotonic() >= service.restart_at:
        pid = service.start()
        children.note_start(service.name)
        log.info("service started", name=service.name, pid=pid)

"""Everything the demo runs as processes: broker, server, encoder training, clients.

Each process is a command that a person can type; the demo writes them to ``commands.txt``.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from ioa.errors import IoaError
from ioa.settings import Settings
from server_classifier.store.classifiers import list_classifiers
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents import count_latents
from server_classifier.store.registry import add_client, add_encoder
from stream.artefacts import read_encoder
from stream.broker.embedded import EmbeddedBroker
from stream.lifetime import bind_to_parent
from stream.topics import Topics, create_topics

_STOP_SECONDS = 20.0


class DemoError(IoaError):
    """A process of the demo failed; the text names its log."""


@dataclass
class Deployment:
    """A broker and a server under ``directory``, which run inside its ``with`` block.

    Commands that need neither may be started before it.
    """

    directory: Path
    settings: Settings
    announce: Callable[[str], None]
    _stack: ExitStack = field(default_factory=ExitStack)
    _engine: Engine | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            broker = EmbeddedBroker(self.directory / "broker", announce=self.announce)
            stack.enter_context(broker)
            self.settings.kafka.bootstrap_servers = broker.bootstrap_servers
            self._engine = open_database(self.settings.server.database_url)
            stack.callback(self._engine.dispose)
            ensure_current(self._engine)
            create_topics(self.settings.kafka, Topics(self.settings.kafka.prefix).shared())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address."""
        return self.settings.kafka.bootstrap_servers

    @property
    def engine(self) -> Engine:
        """The server's database."""
        if self._engine is None:
            raise DemoError("the deployment is not started")
        return self._engine

    def start_server(self) -> None:
        """Start ``ioa server run``; it ends with the deployment."""
        server = self.start("server", ["server", "run"])
        self._stack.callback(_stop, server)

    def start(
        self, name: str, arguments: list[str], *, module: str = "ioa"
    ) -> subprocess.Popen[str]:
        """Start an ``ioa`` command, or another module, whose errors go to ``<name>.log``."""
        command = [sys.executable, "-m", module, *arguments]
        with (self.directory / "commands.txt").open("a") as commands:
            typed = ["ioa"] if module == "ioa" else ["python", "-m", module]
            commands.write(shlex.join([*typed, *arguments]) + "\n")
        # Into a file, since nobody reads a pipe while its process runs.
        with self._log(name).open("a") as log, self._output(name).open("w") as output:
            return subprocess.Popen(  # noqa: S603 - our own program
                bind_to_parent(command),
                # One thread each: there are more processes than processors.
                env=self.settings.child_environment(os.environ) | {"OMP_NUM_THREADS": "1"},
                stdout=output if "--json" in arguments else log,
                stderr=log,
                text=True,
            )

    def finish(self, name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait for a command with ``--json`` and return what it printed.

        A command that printed its report counts as finished whatever its exit code: the report
        says what was refused or left unanswered.

        Raises:
            DemoError: it printed no report.
        """
        process.wait()
        lines = self._output(name).read_text().splitlines()
        if not lines:
            log = self._log(name).read_text().strip().splitlines()
            last = log[-1] if log else f"exit code {process.returncode}"
            raise DemoError(f"{name} failed: {last} (log: {self._log(name)})")
        report: dict[str, Any] = json.loads(lines[-1])
        return report

    def register(self, encoder: Path, clients: list[str]) -> str:
        """Register the encoder and the clients, each at a site of its own; return the encoder id.

        The same as ``ioa server encoder add`` and ``ioa server client add``.
        """
        manifest = read_encoder(encoder).manifest
        now = datetime.now(UTC)
        topics = Topics(self.settings.kafka.prefix)
        with writing(self.engine) as connection:
            add_encoder(connection, manifest, now=now)
            for client in clients:
                add_client(
                    connection,
                    client_id=client,
                    site=client.replace("client", "hospital"),
                    default_encoder=None,
                    now=now,
                )
        create_topics(self.settings.kafka, map(topics.replies, clients))
        return manifest.encoder_id

    def count_stored(self) -> int:
        """Return how many latents the database holds."""
        with reading(self.engine) as connection:
            return count_latents(connection)

    def await_model(self, rows: int, timeout: float) -> str:
        """Wait for a model that was trained on ``rows`` latents and return its version.

        Raises:
            DemoError: there is none after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with reading(self.engine) as connection:
                versions = list_classifiers(connection)
            if versions and json.loads(versions[0].manifest)["rows"] == rows:
                return versions[0].version
            time.sleep(0.1)
        raise DemoError(
            f"the server trained no model on {rows} latents within {timeout:.0f} s "
            f"(log: {self._log('server')})"
        )

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _output(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Broker, server, encoder training and clients as processes that share a directory.

Each process is a command that a person can type; ``commands.txt`` lists them.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine

from client_autoencoder.settings import ClientSettings
from ioa.errors import ProcessFailed
from ioa.run.termination import terminate
from ioa.settings import Settings
from server_classifier.operations.registration import register_client
from server_classifier.operations.topics import mark_read
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import list_classifiers
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents.rows import count_latents, count_latents_by_client
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.lifetime import bind_to_parent

_STOP_SECONDS = 20.0


@dataclass
class Deployment:
    """A broker and a server in ``directory``, which run inside the ``with`` block.

    Commands that need neither may be started before the block.
    """

    directory: Path
    settings: Settings
    announce: Callable[[str], None] = lambda _: None
    _stack: ExitStack = field(init=False)
    _engine: Engine = field(init=False)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            broker = EmbeddedBroker(self.directory / "broker", announce=self.announce)
            stack.enter_context(broker)
            self.settings.kafka.bootstrap_servers = broker.bootstrap_servers
            self._engine = open_database(self.settings.server.database_url)
            stack.callback(self._engine.dispose)
            ensure_current(self._engine)
            kafka = self.settings.kafka
            topics = Topics(kafka.prefix, kafka.partitions).shared()
            create_topics(kafka, mark_read(self._engine, topics))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_server(self, service: str = "run") -> None:
        """Start ``ioa server run`` or one of its services; it ends with the deployment."""
        server = self.start("server", ["server", service])
        self._stack.callback(terminate, [server], _STOP_SECONDS)

    def start(
        self, name: str, arguments: list[str], *, module: str = "ioa"
    ) -> subprocess.Popen[str]:
        """Start an ``ioa`` command or another module; its errors go to ``<name>.log``."""
        # -P: a schemas.py of the user in the current folder is not taken for our package.
        command = [sys.executable, "-P", "-m", module, *arguments]
        with (self.directory / "commands.txt").open("a") as commands:
            typed = ["ioa"] if module == "ioa" else ["python", "-m", module]
            commands.write(shlex.join([*typed, *arguments]) + "\n")
        # Output goes to a file, because nobody reads a pipe while its process runs.
        with self._log(name).open("a") as log, self._output(name).open("w") as output:
            return subprocess.Popen(  # noqa: S603 - our own program
                bind_to_parent(command),
                # One thread each, because there are more processes than processors.
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
            ProcessFailed: it printed no report.
        """
        process.wait()
        lines = self._output(name).read_text().splitlines()
        if not lines:
            log = self._log(name).read_text().strip().splitlines()
            last = log[-1] if log else f"exit code {process.returncode}"
            raise ProcessFailed(f"{name} failed: {last} (log: {self._log(name)})")
        report: dict[str, Any] = json.loads(lines[-1])
        return report

    def register(self, encoders: list[Path], clients: list[str]) -> list[str]:
        """Register encoders and clients, one site per client; return the encoder ids.

        The same as ``ioa encoder add`` and ``ioa client add``.
        """
        manifests = [read_encoder(encoder).manifest for encoder in encoders]
        now = datetime.now(UTC)
        with writing(self._engine) as connection:
            for manifest in manifests:
                add_encoder(connection, manifest, now=now)
        for client in clients:
            site = client.replace("client", "hospital")
            register_client(self._engine, self.settings.kafka, client_id=client, site=site, now=now)
        return [manifest.network_id for manifest in manifests]

    def count_stored(self) -> int:
        """Return how many latents the database holds; cheap to ask often."""
        with reading(self._engine) as connection:
            return count_latents(connection)

    def count_stored_by_client(self) -> dict[str, int]:
        """Return how many latents of each client the database holds, by client id."""
        with reading(self._engine) as connection:
            return count_latents_by_client(connection)

    def await_classifiers(self, rows: Mapping[str, int], timeout: float) -> list[str]:
        """Wait until each encoder's classifier was trained on so many latents; return the versions.

        Raises:
            ProcessFailed: one is missing after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            newest: dict[str, tuple[str, int]] = {}  # version and number of latents
            with reading(self._engine) as connection:
                for stored in list_classifiers(connection):
                    count = json.loads(stored.manifest)["rows"]
                    newest.setdefault(stored.encoder_id, (stored.version, count))
            if {encoder_id: count for encoder_id, (_, count) in newest.items()} == rows:
                return sorted(version for version, _ in newest.values())
            if time.monotonic() >= deadline:
                raise ProcessFailed(
                    f"the server trained no classifier on {sum(rows.values())} latents within "
                    f"{timeout:.0f} s (log: {self._log('server')})"
                )
            time.sleep(0.1)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def _output(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def local_settings(directory: Path) -> Settings:
    """Return settings for a deployment in ``directory``; they ignore the environment."""
    return Settings.model_construct(
        kafka=KafkaSettings(),
        server=ServerSettings(database_url=f"sqlite:///{directory / 'ioa.db'}"),
        client=ClientSettings(outbox=directory / "outbox"),
    )

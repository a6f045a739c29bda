"""A deployment in which every service and client is a process that can be killed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from client_autoencoder.settings import ClientSettings
from ioa.settings import Settings
from schemas.models.network_manifest import NetworkManifest
from server_classifier.heads.settings import TrainingSettings
from server_classifier.operations.registration import register_client
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import latest_versions
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents.rows import count_latents
from server_classifier.store.registry.entries import add_encoder
from stream.artefacts.encoder_files import read_encoder
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.processes import IoaProcess
from tests.support.server import NOW, SITE

# New versions come quickly, and training leaves the processors to the other processes.
QUICK_TRAINING = TrainingSettings(hidden=(16,), epochs=2, min_steps=20)
PATIENCE = 600.0
"""Seconds until a question expires or a client gives up: longer than any test."""


@dataclass
class Deployment:
    """Topics, database and registered clients; ``directory`` gets logs and outboxes."""

    kafka: KafkaSettings
    database_url: str
    encoder: Path
    directory: Path
    clients: Sequence[str]

    def __post_init__(self) -> None:
        self.engine = open_database(self.database_url)
        self._started = 0

    @property
    def topics(self) -> Topics:
        """The topics under the test's own prefix."""
        return Topics(self.kafka.prefix)

    @property
    def manifest(self) -> NetworkManifest:
        """The manifest of the encoder."""
        return read_encoder(self.encoder).manifest

    def __enter__(self) -> Self:
        """Make topics and tables, and register the encoder and the clients."""
        ensure_current(self.engine)
        with writing(self.engine) as connection:
            add_encoder(connection, self.manifest, now=NOW)
        for client in self.clients:
            register_client(self.engine, self.kafka, client_id=client, site=SITE, now=NOW)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    def count_stored(self) -> int:
        """Return how many latents the database holds."""
        with reading(self.engine) as connection:
            return count_latents(connection)

    def has_classifier(self) -> bool:
        """Whether the server has trained a classifier."""
        with reading(self.engine) as connection:
            return bool(latest_versions(connection))

    def start(self, *arguments: object, client: str = "") -> IoaProcess:
        """Start ``ioa`` with these arguments and a log of its own."""
        self._started += 1
        name = "-".join(map(str, (f"{self._started:03}", *arguments[:2], client)))
        return IoaProcess(self._settings(client), self.directory / f"{name}.log", *arguments)

    def _settings(self, client: str) -> Settings:
        return Settings.model_construct(
            kafka=self.kafka,
            server=ServerSettings(
                database_url=self.database_url,
                train_min_new_rows=500,
                max_rows=500,
                training=QUICK_TRAINING,
            ),
            client=ClientSettings(
                client_id=client,
                encoder=self.encoder,
                outbox=self.directory / "outbox",
                timeout_seconds=PATIENCE,
            ),
        )

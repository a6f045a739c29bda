"""``ioa server ingest`` as processes between a learning topic and a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from client_autoencoder.settings import ClientSettings
from ioa.settings import Settings
from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.entries import add_encoder
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.load import Load
from tests.support.manifests import make_manifest
from tests.support.processes import IoaProcess
from tests.support.server import NOW, add_clients

CLIENT = "radiology-1"


@dataclass(frozen=True)
class Ingestion:
    """The broker and database of a test's ingesters; ``folder`` gets their logs."""

    kafka: KafkaSettings
    database_url: str
    engine: Engine
    folder: Path

    def make_load(self) -> Load:
        """Return a load of messages from the one registered client."""
        topic, encoder_id = Topics(self.kafka.prefix).of(LEARNING).name, make_manifest().network_id
        return Load(self.kafka.bootstrap_servers, topic, CLIENT, encoder_id, seed=5)

    def start(
        self,
        name: str,
        *,
        service: str = "ingest",
        instance: str = "0",
        module: str = "ioa",
        labels: list[str] | None = None,
    ) -> IoaProcess:
        """Start a service whose log is ``<name>.log``; see ``IoaProcess`` for ``module``."""
        server = ServerSettings(database_url=self.database_url, instance=instance, labels=labels)
        settings = Settings.model_construct(
            kafka=self.kafka, server=server, client=ClientSettings()
        )
        log = self.folder / f"{name}.log"
        return IoaProcess(settings, log, "server", service, module=module)


@contextmanager
def open_ingestion(kafka: KafkaSettings, database_url: str, folder: Path) -> Iterator[Ingestion]:
    """Make topics and tables, and register one encoder and one client."""
    topics = Topics(kafka.prefix, kafka.partitions)
    create_topics(kafka, [*topics.shared(), topics.replies(CLIENT)])
    engine = open_database(database_url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
    add_clients(engine, CLIENT)
    yield Ingestion(kafka, database_url, engine, folder)
    engine.dispose()

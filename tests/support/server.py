"""Server services in threads of the test process, on a real broker and a real database."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from server_classifier.answering.inference import run_infer
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.training import fit
from server_classifier.intake.ingest import run_ingest
from server_classifier.operations.registration import register_client
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import add_classifier
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents.rows import count_latents
from server_classifier.store.latents.training_set import TrainingSet
from server_classifier.store.registry.entries import add_client, add_encoder
from server_classifier.versions.trainer import describe_training
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.manifests import make_manifest
from tests.support.probe import Probe, find_free_address

LATENT_DIM = 4
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SITE = "st-mary"


@dataclass(frozen=True)
class RunningServer:
    """The services of a test: their broker, database and probes."""

    kafka: KafkaSettings
    settings: ServerSettings
    engine: Engine
    encoder_id: str
    ingest: Probe
    infer: Probe

    @property
    def topics(self) -> Topics:
        """The topics under the test's own prefix."""
        return Topics(self.kafka.prefix)

    def count_stored(self) -> int:
        """Return how many latents the database holds."""
        with reading(self.engine) as connection:
            return count_latents(connection)

    def register(self, client_id: str, default_encoder: str | None = None) -> None:
        """Register a client of ``SITE`` with its reply topic, as ``ioa client add`` does."""
        register_client(
            self.engine,
            self.kafka,
            client_id=client_id,
            site=SITE,
            default_encoder=default_encoder,
            now=NOW,
        )


def add_clients(engine: Engine, *client_ids: str) -> None:
    """Register clients of one site in the database, without topics."""
    with writing(engine) as connection:
        for client_id in client_ids:
            add_client(connection, client_id=client_id, site=SITE, default_encoder=None, now=NOW)


@contextmanager
def run_server(
    kafka: KafkaSettings,
    directory: Path,
    *,
    database_url: str | None = None,
    labels: Sequence[str] | None = None,
) -> Iterator[RunningServer]:
    """Run ingest and infer until the block ends.

    The database is SQLite in ``directory`` unless ``database_url`` names another.
    """
    settings = ServerSettings(
        database_url=database_url or f"sqlite:///{directory / 'ioa.db'}",
        labels=None if labels is None else [*labels],
    )
    engine = open_database(settings.database_url)
    ensure_current(engine)
    create_topics(kafka, Topics(kafka.prefix).shared())
    with writing(engine) as connection:
        encoder = add_encoder(connection, make_manifest(), now=NOW)
    stop = Event()
    probes = [Probe(find_free_address()) for _ in range(2)]
    threads = [
        Thread(
            target=service,
            args=(kafka, settings.model_copy(update={"health": probe.address}), stop),
        )
        for service, probe in zip((run_ingest, run_infer), probes, strict=True)
    ]
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        yield RunningServer(kafka, settings, engine, encoder.encoder_id, *probes)


def add_trained_classifier(server: RunningServer, labels: Sequence[str]) -> str:
    """Train a classifier on latents whose largest number is that of the class.

    Returns its version.
    """
    return store_classifier(server.engine, server.encoder_id, labels, LATENT_DIM)


def store_classifier(
    engine: Engine, encoder_id: str, labels: Sequence[str], latent_dim: int
) -> str:
    """Do what ``add_trained_classifier`` does, in a database without services."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(len(labels)), 40)
    values = rng.normal(0, 0.2, (len(targets), latent_dim)).astype(np.float32)
    values[np.arange(len(targets)), targets] += 1.5
    return train_and_store(engine, encoder_id, labels, values, targets)


def train_and_store(
    engine: Engine,
    encoder_id: str,
    labels: Sequence[str],
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
) -> str:
    """Train a classifier on latents [N, D] and positions of labels [N]; return its version."""
    model, report = fit(values, targets, seed=0)
    onnx = export_onnx(model)
    training_set = TrainingSet(
        values, targets, tuple(labels), last_id=0, available=len(targets), skipped=0
    )
    manifest = describe_training(encoder_id, training_set, report, TrainingSettings(), 0, onnx)
    with writing(engine) as connection:
        return add_classifier(
            connection,
            encoder_id=encoder_id,
            onnx=onnx,
            manifest=manifest.to_json(),
            now=NOW,
        )

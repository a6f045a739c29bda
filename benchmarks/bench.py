"""A broker, a database server and the programs that are measured on them."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import Engine

from benchmarks.learning_load import ASKER, CLIENT, Shape
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.entries import add_encoder
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from tests.support.postgres import Postgres, run_postgres
from tests.support.server import NOW, add_clients

ROOT = Path(__file__).parent.parent


@dataclass
class Bench:
    """The broker and databases that the programs use.

    Attributes:
        log: output of the program that was started last.
    """

    folder: Path
    bootstrap: str
    postgres: Postgres

    @property
    def log(self) -> Path:
        return self.folder / "program.log"

    def make_topics(self) -> KafkaSettings:
        """Make the topics of a new deployment with two clients."""
        kafka = KafkaSettings(
            bootstrap_servers=self.bootstrap, prefix=f"bench-{secrets.token_hex(4)}"
        )
        topics = Topics(kafka.prefix)
        create_topics(kafka, [*topics.shared(), *map(topics.replies, (CLIENT, ASKER))])
        return kafka

    @contextmanager
    def make_database(self, kind: str, shape: Shape) -> Iterator[Engine]:
        """Yield a new database in which the clients and the encoder are registered."""
        with self.make_tables(kind) as engine:
            with writing(engine) as connection:
                add_encoder(connection, shape.manifest, now=NOW)
            add_clients(engine, CLIENT, ASKER)
            yield engine

    @contextmanager
    def make_tables(self, kind: str) -> Iterator[Engine]:
        """Yield a new database with empty tables."""
        file = self.folder / f"{secrets.token_hex(4)}.db"
        url = f"sqlite:///{file}" if kind == "sqlite" else self.postgres.create_database()
        engine = open_database(url)
        ensure_current(engine)
        yield engine
        engine.dispose()
        for leftover in self.folder.glob(f"{file.name}*"):
            leftover.unlink()

    @contextmanager
    def start(
        self,
        kafka: KafkaSettings,
        engine: Engine,
        *module: str,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[psutil.Process]:
        """Run ``python -P -m module`` until the block ends."""
        url = engine.url.set(drivername=engine.url.get_backend_name())
        settings = {
            "PYTHONPATH": str(ROOT),
            "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "IOA_KAFKA__PREFIX": kafka.prefix,
            "IOA_SERVER__DATABASE_URL": url.render_as_string(hide_password=False),
            **(environment or {}),
        }
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                [python, "-P", "-m", *module],
                env=os.environ | settings,
                stdout=output,
                stderr=output,
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
            process.wait()


@contextmanager
def open_bench() -> Iterator[Bench]:
    """Start a broker, and a PostgreSQL with fsync."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="ioa-bench-")))
        broker = running.enter_context(EmbeddedBroker(folder / "kafka", announce=print))
        postgres = running.enter_context(run_postgres(fsync=True))
        yield Bench(folder, broker.bootstrap_servers, postgres)

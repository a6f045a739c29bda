"""A client for tests, with an encoder and outboxes, and the server that it talks to."""

import secrets
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import OutboxError
from client_autoencoder.exchanges.learning import LearningReport, publish
from client_autoencoder.exchanges.messages import MessageMaker
from client_autoencoder.exchanges.service import ServiceReport, ask
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.outbox.entries import Limits
from client_autoencoder.outbox.reading import OutboxStatus, read_status
from client_autoencoder.privacy.mechanism import Mechanism, NoMechanism
from schemas.wire import avro_form
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.kafka.settings import KafkaSettings
from tests.support.commands import run_client
from tests.support.relays import open_relay
from tests.support.server import NOW, RunningServer, run_server

CLIENT = "radiology-1"


@dataclass(frozen=True)
class Client:
    """The client ``CLIENT``: publishes, asks, and runs commands as a person types them.

    Attributes:
        directory: of its outboxes.
    """

    kafka: KafkaSettings
    encoder: Path
    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / f"{CLIENT}.db"

    @property
    def questions(self) -> Path:
        return self.directory / f"{CLIENT}.questions.db"

    @property
    def status(self) -> OutboxStatus:
        """The status of both outboxes together.

        Raises:
            OutboxError: there is no outbox yet.
        """
        paths = [path for path in (self.file, self.questions) if path.exists()]
        return read_status(*(paths or [self.file]))

    def publish(
        self,
        batches: Iterable[ImageBatch],
        *,
        timeout: float,
        limits: Limits | None = None,
        delivery_timeout: float = 120.0,
    ) -> LearningReport:
        with open_relay(
            self.kafka,
            CLIENT,
            self.directory,
            limits=limits,
            delivery_timeout=delivery_timeout,
        ) as relay:
            return publish(batches, self.make_maker(), relay, timeout=timeout, on_progress=ignore)

    def ask(
        self,
        batch: ImageBatch,
        *,
        timeout: float,
        in_flight: int = 16,
        limits: Limits | None = None,
    ) -> ServiceReport:
        with open_relay(self.kafka, CLIENT, self.directory, limits=limits, questions=True) as relay:
            return ask(
                [batch],
                self.make_maker(),
                relay,
                timeout=timeout,
                in_flight=in_flight,
                on_progress=ignore,
            )

    def make_maker(self) -> MessageMaker:
        return make_maker(Encoder.load(self.encoder))

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return run_client(self.kafka, CLIENT, self.encoder, *arguments, "--outbox", self.directory)


def make_maker(
    encoder: Encoder, mechanism: Mechanism | None = None, form: str = avro_form.CONTENT_TYPE
) -> MessageMaker:
    """Return what makes the messages of ``CLIENT``."""
    return MessageMaker(
        client_id=CLIENT,
        encoder=encoder,
        mechanism=mechanism or NoMechanism(),
        form=form,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
    )


def ignore(_sent: int, _done: int) -> None:
    """Ignore progress."""


@contextmanager
def serve(client: Client, tmp_path: Path) -> Iterator[RunningServer]:
    """Run a server in which the client and its encoder are registered."""
    with run_server(client.kafka, tmp_path) as server:
        server.register(CLIENT)
        with writing(server.engine) as connection:
            manifest = Encoder.load(client.encoder).manifest
            add_encoder(connection, manifest, now=NOW)
        yield server


def has_begun(client: Client) -> bool:
    """Whether the outbox holds messages."""
    try:
        return client.status.encoded > 0
    except OutboxError:  # the file exists a moment before its tables
        return False

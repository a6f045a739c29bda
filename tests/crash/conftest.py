"""Fixtures of the crash tests: an encoder, images, a deployment that tests may kill."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from stream.broker.embedded import EmbeddedBroker
from stream.kafka.settings import KafkaSettings
from tests.support.deployment import Deployment
from tests.support.encoders import train_encoder
from tests.support.images import draw_images
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.outages import Outage, postgres_away, sqlite_away


@pytest.fixture(scope="session")
def encoder_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of 8x8 images."""
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


@pytest.fixture(scope="session")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen hundred images of three classes."""
    path = tmp_path_factory.mktemp("images") / "images.npz"
    batch = draw_images(1500)
    np.savez(path, images=batch.images[:, 0], labels=np.array(batch.labels))
    return path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker for one test, which may kill it."""
    broker = EmbeddedBroker(tmp_path / "kafka").start()
    yield broker
    broker.stop()


@pytest.fixture
def database_away(request: pytest.FixtureRequest, database_url: str) -> Outage:
    """Return an outage of the test's database."""
    if database_url.startswith("postgresql"):
        return partial(postgres_away, request.getfixturevalue("postgres"))
    return partial(sqlite_away, database_url)


@pytest.fixture
def deployment(
    broker: EmbeddedBroker,
    database_url: str,
    encoder_directory: Path,
    tmp_path: Path,
    clients: Sequence[str],
) -> Iterator[Deployment]:
    """A deployment on that broker, with the clients of the test module."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    with Deployment(kafka, database_url, encoder_directory, tmp_path, clients) as opened:
        yield opened


@pytest.fixture
def ingestion(
    kafka: str, topic_prefix: str, database_url: str, tmp_path: Path
) -> Iterator[Ingestion]:
    """An empty topic and an empty database for one test, once for each kind of database."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with open_ingestion(settings, database_url, tmp_path) as opened:
        yield opened

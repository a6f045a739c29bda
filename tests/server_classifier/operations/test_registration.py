"""Registering a client: in which order, and what is left when it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from schemas.errors import SchemaError
from server_classifier.operations.registration import register_client
from server_classifier.store.database import ensure_current, open_database, reading
from server_classifier.store.errors import RegistryError
from server_classifier.store.registry.entries import list_clients
from stream.errors import KafkaUnavailable
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import list_topic_names
from tests.support.server import NOW


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'ioa.db'}")
    ensure_current(engine)
    yield engine
    engine.dispose()


def list_ids(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return [row.client_id for row in list_clients(connection)]


def test_a_client_has_its_topic_and_its_row(kafka: str, topic_prefix: str, engine: Engine) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    row = register_client(engine, settings, client_id="ct-1", site="north", now=NOW)
    assert (row.client_id, row.site, row.default_encoder) == ("ct-1", "north", None)
    assert list_ids(engine) == ["ct-1"]
    topics = Topics(topic_prefix)
    expected = {topic.name for topic in (*topics.shared(), topics.replies("ct-1"))}
    assert set(list_topic_names(settings)) == expected

    assert register_client(engine, settings, client_id="ct-1", site="north", now=NOW) == row
    with pytest.raises(RegistryError, match="belongs to site north"):
        register_client(engine, settings, client_id="ct-1", site="south", now=NOW)
    with pytest.raises(SchemaError, match="clientID: 'CT 1'"):
        register_client(engine, settings, client_id="CT 1", site="north", now=NOW)
    assert set(list_topic_names(settings)) == expected


def test_without_a_broker_nobody_is_registered(engine: Engine) -> None:
    away = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(KafkaUnavailable, match="no Kafka broker answers"):
        register_client(engine, away, client_id="ct-1", site="north", now=NOW)
    assert list_ids(engine) == []

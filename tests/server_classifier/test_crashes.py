"""``ioa server ingest`` killed at random moments under load: every message is stored once."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry import add_client, add_encoder
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics
from tests.support.ingester import IngestProcess
from tests.support.load import Load, Tally, wait_for_rows
from tests.support.postgres import Postgres
from tests.support.server import NOW, make_manifest

CLIENT = "radiology-1"
KILLS = 6

pytestmark = pytest.mark.crash


@pytest.fixture
def kafka_settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return settings


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    prepare(engine)
    yield engine
    engine.dispose()


def prepare(engine: Engine) -> None:
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
        add_client(connection, client_id=CLIENT, site="st-mary", default_encoder=None, now=NOW)


def make_load(kafka: KafkaSettings, seed: int) -> Load:
    topic = Topics(kafka.prefix).learning.name
    return Load(kafka.bootstrap_servers, topic, CLIENT, make_manifest().encoder_id, seed=seed)


def settings_of(engine: Engine, instance: str = "0") -> ServerSettings:
    url = engine.url.set(drivername=engine.url.get_backend_name())
    return ServerSettings(database_url=url.render_as_string(False), instance=instance)


def crash(kafka: KafkaSettings, engine: Engine, folder: Path, module: str = "ioa") -> Tally:
    """Kill the ingester ``KILLS`` times under load, let one more finish, and count."""
    moments = random.Random(5)  # noqa: S311 - the same moments every time
    settings = settings_of(engine)
    load = make_load(kafka, seed=5)
    with load.running():
        for number in range(KILLS):
            process = IngestProcess(kafka, settings, folder / f"{number}.log", module=module)
            process.wait_for("reading begins")
            time.sleep(moments.uniform(0, 0.5))
            process.kill()
    with IngestProcess(kafka, settings, folder / "last.log", module=module) as process:
        process.wait_for("reading begins")
        return wait_for_rows(load, engine, seconds=5 if module != "ioa" else 40)


def test_killed_at_random_moments_every_message_is_stored_once(
    kafka_settings: KafkaSettings, engine: Engine, tmp_path: Path
) -> None:
    tally = crash(kafka_settings, engine, tmp_path)
    assert tally.sent > 1000
    assert tally.exact, tally


def test_control_positions_apart_from_rows_lose_messages(
    kafka_settings: KafkaSettings, engine: Engine, tmp_path: Path
) -> None:
    tally = crash(kafka_settings, engine, tmp_path, module="tests.support.split_transaction")
    assert tally.lost > 0


def test_control_without_the_unique_key_messages_are_doubled(
    kafka_settings: KafkaSettings, postgres: Postgres, tmp_path: Path
) -> None:
    engine = open_database(postgres.create_database())
    prepare(engine)
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE latent DROP CONSTRAINT uq_latent_message_id"))
    tally = crash(kafka_settings, engine, tmp_path)
    engine.dispose()
    assert tally.doubled > 0
    assert tally.lost == 0

"""A backup taken while ``ioa server ingest`` runs under load, and ingestion from it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ioa.cli.main import app
from server_classifier.settings import ServerSettings
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents import count_latents
from server_classifier.store.registry import add_client, add_encoder
from stream.settings import KafkaSettings
from stream.topics import Topics, create_topics
from tests.support.ingester import IngestProcess
from tests.support.load import Load, wait_for_rows
from tests.support.postgres import DATABASES
from tests.support.server import NOW, make_manifest

CLIENT = "radiology-1"


@pytest.fixture
def kafka_settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    topics = Topics(topic_prefix)
    create_topics(settings, [*topics.shared(), topics.replies(CLIENT)])
    return settings


def prepare(url: str) -> None:
    engine = open_database(url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
        add_client(connection, client_id=CLIENT, site="st-mary", default_encoder=None, now=NOW)
    engine.dispose()


def wait_for_count(url: str, count: int) -> None:
    engine = open_database(url)
    deadline = time.monotonic() + 60
    stored = 0
    while stored < count:
        assert time.monotonic() < deadline, f"{stored} rows after a minute"
        with reading(engine) as connection:
            stored = count_latents(connection)
        time.sleep(0.05)
    engine.dispose()


def run_db(*arguments: object) -> dict[str, dict[str, int]]:
    result = CliRunner().invoke(app, ["server", "db", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    answer: dict[str, dict[str, int]] = json.loads(result.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("kind", DATABASES)
def test_ingestion_from_a_backup_stores_every_message_once(
    kafka_settings: KafkaSettings,
    make_database: Callable[[str, Path], str],
    tmp_path: Path,
    kind: str,
) -> None:
    (tmp_path / "new").mkdir()
    old, new = make_database(kind, tmp_path), make_database(kind, tmp_path / "new")
    prepare(old)
    learning = Topics(kafka_settings.prefix).learning.name
    load = Load(
        kafka_settings.bootstrap_servers, learning, CLIENT, make_manifest().encoder_id, seed=8
    )
    with (
        load.running(),
        IngestProcess(kafka_settings, ServerSettings(database_url=old), tmp_path / "old.log"),
    ):
        wait_for_count(old, 500)
        copied = run_db("backup", tmp_path / "backup.db", "--database", old)["rows"]["latent"]
        wait_for_count(old, copied + 500)
    assert 500 <= copied <= len(load.ids) - 500
    run_db("restore", tmp_path / "backup.db", "--database", new)
    engine = open_database(new)
    assert load.tally(engine).stored == copied
    with IngestProcess(kafka_settings, ServerSettings(database_url=new), tmp_path / "new.log"):
        tally = wait_for_rows(load, engine, 60)
    engine.dispose()
    assert tally.exact, tally
    assert run_db("check", "--database", new)["findings"] == []

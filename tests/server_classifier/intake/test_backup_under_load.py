"""A backup taken while ``ioa server ingest`` runs under load, and ingestion from it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from ioa.cli.main import app
from server_classifier.store.database import open_database, reading
from server_classifier.store.latents.rows import count_latents
from stream.kafka.settings import KafkaSettings
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.load import wait_for_rows
from tests.support.postgres import DATABASES
from tests.support.waiting import wait_until


def wait_for_count(engine: Engine, count: int) -> None:
    def is_reached() -> bool:
        with reading(engine) as connection:
            return count_latents(connection) >= count

    wait_until(is_reached, f"fewer than {count} rows are stored")


def run_db(*arguments: object) -> dict[str, dict[str, int]]:
    result = CliRunner().invoke(app, ["database", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    answer: dict[str, dict[str, int]] = json.loads(result.stdout.splitlines()[-1])
    return answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", DATABASES)
def test_ingestion_from_a_backup_stores_every_message_once(
    kafka: str,
    topic_prefix: str,
    make_database: Callable[[str, Path], str],
    tmp_path: Path,
    kind: str,
) -> None:
    (tmp_path / "new").mkdir()
    old, new = make_database(kind, tmp_path), make_database(kind, tmp_path / "new")
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with open_ingestion(settings, old, tmp_path) as before:
        load = before.make_load()
        with load.running(), before.start("old"):
            wait_for_count(before.engine, 500)
            copied = run_db("backup", tmp_path / "backup.db", "--database", old)["rows"]["latent"]
            wait_for_count(before.engine, copied + 500)
    assert 500 <= copied <= len(load.ids) - 500
    run_db("restore", tmp_path / "backup.db", "--database", new)
    after = Ingestion(settings, new, open_database(new), tmp_path)
    assert load.count(after.engine).stored == copied
    with after.start("new"):
        tally = wait_for_rows(load, after.engine)
    after.engine.dispose()
    assert tally.exact, tally
    assert run_db("check", "--database", new)["findings"] == []

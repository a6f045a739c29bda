"""``ioa archive`` as a person types it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.entries import add_client, add_encoder
from stream.archive.manifest import read_manifest
from stream.kafka.settings import KafkaSettings
from tests.support.archives import number_bodies, send
from tests.support.commands import run
from tests.support.ingestion import open_ingestion
from tests.support.manifests import make_manifest
from tests.support.replays import Publisher
from tests.support.topics import make_topics

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def make_database(file: Path, client: str) -> str:
    """Make a database that knows one client and the encoder."""
    url = f"sqlite:///{file}"
    engine = open_database(url)
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(16), now=NOW)
        add_client(connection, client_id=client, site="st-mary", default_encoder=None, now=NOW)
    engine.dispose()
    return url


def test_from_a_topic_to_a_checked_archive(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    settings = make_topics(kafka, topic_prefix)
    place = ("-b", kafka, "--prefix", topic_prefix)
    folder = tmp_path / "archive"
    first = ("--database", make_database(tmp_path / "ioa.db", "radiology-1"))
    send(settings, list(number_bodies(40)))
    written = run("archive", "write", folder, *place, *first, "--from", 2, "--to", 8, "--json")
    assert json.loads(written.stdout)["added"] == 24, written.stderr
    refused = run("archive", "write", folder, *place, *first, "--from", 2)
    assert (refused.returncode, "--from is for a new archive" in refused.stderr) == (2, True)
    second = ("--database", make_database(tmp_path / "new.db", "radiology-2"))
    added = run("archive", "write", folder, *place, *second)
    assert "added 8 records; files: 1" in added.stdout, added.stderr
    verified = run("archive", "check", folder)
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "nothing is wrong")
    registry = read_manifest(folder).registry
    assert [client["client_id"] for client in registry["clients"]] == ["radiology-1", "radiology-2"]
    assert len(registry["encoders"]) == 1
    (folder / "part-000001.parquet").unlink()
    damaged = run("archive", "check", folder, "--json")
    assert damaged.returncode == 1
    assert len(json.loads(damaged.stdout)["findings"]) == 1


def test_a_replay_from_an_archive_is_the_one_from_kafka(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    url = f"sqlite:///{tmp_path / 'ioa.db'}"
    place = ("-b", kafka, "--prefix", topic_prefix, "--database", url)
    nowhere = ("-b", "127.0.0.1:1", "--database", f"sqlite:///{tmp_path / 'none.db'}")
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("first.db", "second.db"))
    with open_ingestion(settings, url, tmp_path):
        Publisher(settings).publish(200)
        Publisher(settings).publish_trouble()
        direct = run("replay", "run", "--into", first, *place, "--json")
        run("archive", "write", tmp_path / "archive", *place)
    archived = run(
        "replay", "run", "--archive", tmp_path / "archive", "--into", second, *nowhere, "--json"
    )
    assert archived.returncode == 0, archived.stderr
    expected, found = json.loads(direct.stdout), json.loads(archived.stdout)
    assert expected["stored"] == 202
    for name in ("topic", "partitions", "read", "stored", "known", "refused", "digest"):
        assert found[name] == expected[name], name
    source = ("--archive", tmp_path / "archive", "--mode", "service")
    into = ("--into", f"sqlite:///{tmp_path / 'third.db'}")
    refused = run("replay", "run", *source, *into, *nowhere)
    assert refused.returncode == 2
    words = " ".join(refused.stderr.replace("│", " ").split())  # a long path wraps them
    assert f"holds {topic_prefix}.learning" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--database", "sqlite:///typo.db"), "there is no database typo.db"),
        (("--from", "2999-01-01"), "lies in the future"),
        (("--to", "yesterday"), "neither an offset such as 500 nor a time"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = run("archive", "write", "archive", *arguments, cwd=tmp_path)
    assert (result.returncode, list(tmp_path.iterdir())) == (1, [])
    assert words in result.stderr


def test_a_database_without_tables_is_named(tmp_path: Path) -> None:
    (tmp_path / "ioa.db").touch()
    result = run("archive", "write", "archive", cwd=tmp_path)
    assert "has no tables; name the database that the services use" in result.stderr


def test_verifying_what_is_no_archive_is_exit_code_1(tmp_path: Path) -> None:
    result = run("archive", "check", tmp_path)
    assert (result.returncode, "is not an archive" in result.stdout) == (1, True)

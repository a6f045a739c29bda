"""``ioa replay run`` as a person types it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from ioa.cli.research.replay import Mode
from stream.exchange.exchanges import EXCHANGES
from stream.kafka.settings import KafkaSettings
from tests.support.commands import run
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.replays import Publisher


@pytest.fixture
def live(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Ingestion]:
    """A topic with 100 messages and some trouble, and a live database."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with open_ingestion(settings, url, tmp_path) as ingestion:
        publisher = Publisher(settings)
        publisher.publish(100)
        publisher.publish_trouble()
        yield ingestion


def test_every_exchange_can_be_replayed() -> None:
    choices, *_ = get_args(Mode)
    assert list(get_args(choices)) == [exchange.name for exchange in EXCHANGES]


def test_a_replay_from_the_command_line(live: Ingestion, database_url: str) -> None:
    where = ("-b", live.kafka.bootstrap_servers, "--prefix", live.kafka.prefix)
    command = ("replay", "run", "--into", database_url, "--database", live.database_url, *where)
    first = run(*command, "--label", "hand", "--json")
    report = json.loads(first.stdout)
    assert (first.returncode, report["read"], report["stored"]) == (0, 106, 52), first.stderr
    assert report["refused"]["clientID"]["first"]["partition"] == 0
    again = run(*command, "--label", "hand")
    assert f"digest {report['digest']}" in again.stdout.splitlines()
    assert "read 106 records of" in again.stdout
    assert "nothing is new" in again.stderr
    assert "junk" not in first.stdout + again.stdout
    served = run("server", "run", "--database", database_url, *where)
    assert (served.returncode, "filled by a replay" in served.stderr) == (1, True)
    other = run(*command)
    assert other.returncode == 1
    assert "is that of another replay (selection:" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--from", "2126-01-01"), "ioa: 2126-01-01 lies in the future"),
        (("--from", "5000"), "holds nothing from 5000 to the end"),
        (("--site", "st-marie"), "ioa: no site st-marie is registered, but st-mary"),
        (("--label", "foot"), "nothing was stored"),
        (("--speed", "0"), "--speed must be a number above 0"),
        (("--into", "live"), "is the live database"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    live: Ingestion, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    into = f"sqlite:///{tmp_path / 'new.db'}"
    result = run(
        "replay",
        "run",
        *("-b", live.kafka.bootstrap_servers, "--prefix", live.kafka.prefix),
        *("--database", live.database_url, "--into", into),
        *(live.database_url if argument == "live" else argument for argument in arguments),
    )
    assert result.returncode != 0
    assert reason in result.stderr
    assert (tmp_path / "new.db").exists() == (reason == "nothing was stored")

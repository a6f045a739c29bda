"""Two `ioa server ingest` as on two hosts: they share the partitions, and each keeps its own."""

import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stream.kafka.settings import KafkaSettings
from tests.support.ingestion import open_ingestion
from tests.support.load import wait_for_rows
from tests.support.processes import IoaProcess
from tests.support.waiting import wait_until

# Kafka gives the partitions of a process that it takes for dead to others after six.
AT_ONCE_SECONDS = 3.0


def find_events(process: IoaProcess, event: str) -> list[dict[str, Any]]:
    """Return what a process has logged of an event."""
    lines = process.text.splitlines(keepends=True)
    logged = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
    return [line for line in logged if line["event"] == event]


def find_partitions(process: IoaProcess) -> set[str]:
    """Return the partitions that a process has begun to read last."""
    begun = find_events(process, "reading begins")
    return set(begun[-1]["offsets"]) if begun else set()


def measure_start(process: IoaProcess) -> float:
    """Return the seconds from a service's start to its reading."""
    moments = [find_events(process, event)[0] for event in ("ready", "reading begins")]
    begin, end = (datetime.fromisoformat(moment["timestamp"]) for moment in moments)
    return (end - begin).total_seconds()


@pytest.mark.timeout(600)
def test_ingesters_on_two_hosts_share_and_one_that_was_killed_goes_on(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    database_url = f"sqlite:///{tmp_path / 'ioa.db'}"
    with ExitStack() as running:
        ingestion = running.enter_context(open_ingestion(settings, database_url, tmp_path))
        first = running.enter_context(ingestion.start("first", instance="host-a"))
        second = running.enter_context(ingestion.start("second", instance="host-b"))
        load = ingestion.make_load()
        with load.running():
            wait_until(
                lambda: len(find_partitions(first)) == len(find_partitions(second)) == 2,
                "they do not share",
            )
            held = find_partitions(first), find_partitions(second)
            first.kill()
            again = running.enter_context(ingestion.start("again", instance="host-a"))
            again.wait_for("reading begins")
        counts = wait_for_rows(load, ingestion.engine)
        assert (find_partitions(again), find_partitions(second)) == held
        seconds = measure_start(again)
    print(f"{seconds:.2f} s from ready to reading")
    assert held[0] | held[1] == set("0123")
    assert seconds < AT_ONCE_SECONDS
    assert counts.exact, counts

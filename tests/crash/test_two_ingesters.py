"""Two processes that both believe they own a partition: one is fenced, the rows are exact."""

import os
import signal
from contextlib import ExitStack

import pytest

from tests.support.ingestion import Ingestion
from tests.support.load import wait_for_rows
from tests.support.outages import Outage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


def test_an_ingester_that_was_taken_for_dead_is_fenced_when_it_comes_back(
    ingestion: Ingestion, database_away: Outage
) -> None:
    """A paused process wakes up with a batch that another process has stored meanwhile."""
    load = ingestion.make_load()
    with ExitStack() as running:
        frozen = running.enter_context(ingestion.start("frozen", instance="0"))
        frozen.wait_for("reading begins")
        with load.running():
            with database_away():
                frozen.wait_for("waiting for a dependency")  # so it holds a batch
                os.kill(frozen.pid, signal.SIGSTOP)
            other = running.enter_context(ingestion.start("other", instance="1"))
            other.wait_for("batch ingested")
            os.kill(frozen.pid, signal.SIGCONT)
            frozen.wait_for("was taken over by ingest 1")
        counts = wait_for_rows(load, ingestion.engine)
    print(counts)
    assert counts.sent > 1000
    assert counts.exact, counts

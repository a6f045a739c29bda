"""Two processes that both believe a partition to be theirs: one is fenced, the rows are exact."""

import os
import signal
import time

import pytest
from sqlalchemy import Engine, text, update

from server_classifier.store.database import writing
from server_classifier.store.errors import StoreUnavailable
from server_classifier.store.tables import position
from tests.support.ingestion import Ingestion
from tests.support.load import wait_for_rows
from tests.support.processes import IoaProcess

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


def is_free(engine: Engine) -> bool:
    """Tell whether nobody is in the middle of moving positions."""
    try:
        with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = 200"))
            connection.execute(update(position).values(moved_at=position.c.moved_at))
    except StoreUnavailable:
        return False
    return True


def freeze(process: IoaProcess, engine: Engine) -> None:
    """Stop a process as a paused machine does, but not while others wait for its locks."""
    while True:
        os.kill(process.pid, signal.SIGSTOP)
        if is_free(engine):
            return
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.05)


def test_who_was_taken_for_dead_is_fenced_when_it_comes_back(ingestion: Ingestion) -> None:
    """Its batch in hand is dropped: the other has read the same records meanwhile."""
    load = ingestion.make_load()
    with (
        ingestion.start("frozen", instance="0") as frozen,
        ingestion.start("other", instance="1") as other,
    ):
        for process in (frozen, other):
            process.wait_for("reading begins")
        with load.running():
            time.sleep(1)
            freeze(frozen, ingestion.engine)
            other.wait_for('"partitions": [0, 1, 2, 3]')
            time.sleep(1)
            os.kill(frozen.pid, signal.SIGCONT)
            frozen.wait_for("was taken over by ingest 1")
        tally = wait_for_rows(load, ingestion.engine, seconds=120)
    print(tally)
    assert tally.sent > 1000
    assert tally.exact, tally

"""``ioa server ingest`` is killed at random moments under load: every message is stored once.

Each control switches off one guarantee and must fail, which shows that the tests notice faults.
"""

import random
import time

import pytest
from sqlalchemy import text

from server_classifier.store.database import writing
from tests.support.ingestion import Ingestion
from tests.support.load import wait_for_rows
from tests.support.message_counts import MessageCounts
from tests.support.split_transaction import MOVED
from tests.support.waiting import LONG

KILLS = 3

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


def crash(
    ingestion: Ingestion,
    module: str = "ioa",
    *,
    begun: str = "reading begins",
    seconds: float = LONG,
) -> MessageCounts:
    """Kill the ingester ``KILLS`` times under load, let a last one finish, and count.

    Each kill comes at most half a second after ``begun`` is in the log. At the end, the test waits
    at most ``seconds`` for the rows.
    """
    moments = random.Random(5)  # noqa: S311 - the same moments every time
    load = ingestion.make_load()
    with load.running():
        for number in range(KILLS):
            process = ingestion.start(f"killed-{number}", module=module)
            process.wait_for(begun)
            time.sleep(moments.uniform(0, 0.5))
            process.kill()
    with ingestion.start("last", module=module) as process:
        process.wait_for("reading begins")
        counts = wait_for_rows(load, ingestion.engine, seconds)
    print(counts)
    return counts


def test_killed_at_random_moments_every_message_is_stored_once(ingestion: Ingestion) -> None:
    counts = crash(ingestion)
    assert counts.sent > 1000
    assert counts.exact, counts


def test_control_positions_apart_from_rows_lose_messages(ingestion: Ingestion) -> None:
    counts = crash(ingestion, "tests.support.split_transaction", begun=MOVED, seconds=5)
    assert counts.lost > 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_control_without_the_unique_key_messages_are_doubled(ingestion: Ingestion) -> None:
    with writing(ingestion.engine) as connection:
        connection.execute(text("ALTER TABLE latent DROP CONSTRAINT uq_latent_message_id"))
    counts = crash(ingestion)
    assert counts.doubled > 0
    assert counts.lost == 0

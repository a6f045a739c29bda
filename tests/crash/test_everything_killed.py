"""Every part of a deployment killed at random moments under load, again and again.

``pytest -m crash -rP --kills 30 tests/crash/test_everything_killed.py`` does it for longer.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from ioa.run.supervisor import SERVICES
from stream.broker.embedded import EmbeddedBroker
from tests.support.broker import kill_broker
from tests.support.crew import Crew
from tests.support.deployment import Deployment
from tests.support.postgres import Postgres
from tests.support.tally import count_answers, count_rows, list_sent
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

ASKER = "radiology-0"
CLIENTS = (ASKER, "radiology-1", "radiology-2")


class Fault(NamedTuple):
    """What is done to one part, and what its machine or operator does about it."""

    kill: Callable[[], None]
    mend: Callable[[], object] = lambda: None


@pytest.fixture
def clients() -> tuple[str, ...]:
    return CLIENTS


def make_faults(
    crew: Crew, broker: EmbeddedBroker, request: pytest.FixtureRequest
) -> dict[str, Fault]:
    # SQLite has no process that could be killed: those who write to it are, all at once.
    database = Fault(lambda: crew.kill_services(*SERVICES))
    if crew.deployment.database_url.startswith("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        database = Fault(server.kill, server.start)
    return {
        "client": Fault(crew.kill_client),
        "supervisor": Fault(crew.kill_server),
        "ingest": Fault(lambda: crew.kill_services("ingest")),
        "infer": Fault(lambda: crew.kill_services("infer")),
        "train": Fault(lambda: crew.kill_services("train")),
        "broker": Fault(lambda: kill_broker(broker), broker.start),
        "database": database,
    }


def strike(crew: Crew, faults: dict[str, Fault], count: int, random: Random) -> Counter[str]:
    """Kill so often at random moments, each part about equally often; return the kills by part."""
    parts = [list(faults)[number % len(faults)] for number in range(count)]
    random.shuffle(parts)
    for part in parts:
        crew.work_off(random.randint(100, 2000))
        crew.work(random.uniform(0, 2))
        faults[part].kill()
        crew.work(random.uniform(0, 1))
        faults[part].mend()
    return Counter(parts)


def test_everything_killed_under_load_loses_and_doubles_nothing(
    deployment: Deployment,
    broker: EmbeddedBroker,
    image_file: Path,
    request: pytest.FixtureRequest,
) -> None:
    random = Random(5)  # noqa: S311 - the same moments every time
    kills = request.config.getoption("--kills")
    with Crew(deployment, ASKER, image_file, random) as crew:
        crew.learn()
        killed = strike(crew, make_faults(crew, broker, request), kills, random)
        statuses = crew.finish()
        wait_until(
            lambda: not count_answers(deployment.kafka, CLIENTS).unanswered,
            "questions remain without answer",
        )
    tally = count_rows(deployment.engine, list_sent(deployment.kafka))
    answers = count_answers(deployment.kafka, CLIENTS)
    asked = statuses.pop(ASKER)
    encoded = sum(status["encoded"] for status in statuses.values())
    acknowledged = sum(status["acknowledged"] for status in statuses.values())
    print(f"killed {killed.total()}: {dict(killed)}")
    print(f"{tally}, encoded by the clients {encoded}, acknowledged to them {acknowledged}")
    print(f"{answers}, asked by the client {asked['encoded']}, answered to it {asked['answered']}")
    assert crew.failures == []
    assert tally.exact
    assert encoded == acknowledged == tally.stored
    assert asked["encoded"] == asked["answered"] + asked["expired"] == answers.asked
    assert answers.labelled > 0
    assert answers.contradicted == 0

"""Every process of a deployment is killed at random moments under load, again and again.

``pytest -m crash -rP --kills 30 tests/crash/test_everything_killed.py`` runs for longer.
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
from tests.support.busy_deployment import BusyDeployment
from tests.support.deployment import Deployment
from tests.support.message_counts import count_answers, count_rows, list_sent
from tests.support.postgres import Postgres
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

ASKER = "radiology-0"
CLIENTS = (ASKER, "radiology-1", "radiology-2")


class Fault(NamedTuple):
    """How a test kills one process, and how its machine or operator brings it back."""

    kill: Callable[[], None]
    mend: Callable[[], object] = lambda: None


@pytest.fixture
def clients() -> tuple[str, ...]:
    return CLIENTS


def make_faults(
    busy: BusyDeployment, broker: EmbeddedBroker, request: pytest.FixtureRequest
) -> dict[str, Fault]:
    # SQLite has no process to kill: the services that write to it are killed all at once.
    database = Fault(lambda: busy.kill_services(*SERVICES))
    if busy.deployment.database_url.startswith("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        database = Fault(server.kill, server.start)
    return {
        "client": Fault(busy.kill_client),
        "supervisor": Fault(busy.kill_server),
        "ingest": Fault(lambda: busy.kill_services("ingest")),
        "infer": Fault(lambda: busy.kill_services("infer")),
        "train": Fault(lambda: busy.kill_services("train")),
        "broker": Fault(lambda: kill_broker(broker), broker.start),
        "database": database,
    }


def strike(
    busy: BusyDeployment, faults: dict[str, Fault], count: int, random: Random
) -> Counter[str]:
    """Kill ``count`` times at random moments; return how often each fault happened.

    Each fault happens about equally often.
    """
    names = [list(faults)[number % len(faults)] for number in range(count)]
    random.shuffle(names)
    for name in names:
        busy.run_until_stored(random.randint(100, 2000))
        busy.run(random.uniform(0, 2))
        faults[name].kill()
        busy.run(random.uniform(0, 1))
        faults[name].mend()
    return Counter(names)


def test_everything_killed_under_load_loses_and_doubles_nothing(
    deployment: Deployment,
    broker: EmbeddedBroker,
    image_file: Path,
    request: pytest.FixtureRequest,
) -> None:
    random = Random(5)  # noqa: S311 - the same moments every time
    kills = request.config.getoption("--kills")
    with BusyDeployment(deployment, ASKER, image_file, random) as busy:
        busy.train_classifier()
        killed = strike(busy, make_faults(busy, broker, request), kills, random)
        statuses = busy.finish()
        wait_until(
            lambda: not count_answers(deployment.kafka, CLIENTS).unanswered,
            "questions remain without answer",
        )
    counts = count_rows(deployment.engine, list_sent(deployment.kafka))
    answers = count_answers(deployment.kafka, CLIENTS)
    asked = statuses.pop(ASKER)
    encoded = sum(status["encoded"] for status in statuses.values())
    acknowledged = sum(status["acknowledged"] for status in statuses.values())
    print(f"killed {killed.total()}: {dict(killed)}")
    print(f"{counts}, encoded by the clients {encoded}, acknowledged to them {acknowledged}")
    print(f"{answers}, asked by the client {asked['encoded']}, answered to it {asked['answered']}")
    assert busy.failures == []
    assert counts.exact
    assert encoded == acknowledged == counts.stored
    assert asked["encoded"] == asked["answered"] + asked["expired"] == answers.asked
    assert answers.labelled > 0
    assert answers.contradicted == 0

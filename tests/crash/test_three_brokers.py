"""Three brokers are killed in turn under load: no acknowledged message is lost."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from stream.kafka.drift import find_drift
from stream.kafka.settings import KafkaSettings
from tests.support.busy_deployment import BusyDeployment
from tests.support.deployment import Deployment
from tests.support.message_counts import count_answers, count_rows, list_sent
from tests.support.three_brokers import NUMBERS, ThreeBrokers, run_three_brokers

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

ASKER = "radiology-0"
CLIENTS = (ASKER, "radiology-1", "radiology-2")


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[ThreeBrokers]:
    with run_three_brokers(tmp_path / "kafka") as running:
        yield running


@pytest.fixture
def deployment(
    brokers: ThreeBrokers, encoder_directory: Path, tmp_path: Path
) -> Iterator[Deployment]:
    kafka = KafkaSettings(
        bootstrap_servers=brokers.bootstrap_servers, replication_factor=3, min_insync_replicas=2
    )
    url = f"sqlite:///{tmp_path / 'ioa.db'}"
    with Deployment(kafka, url, encoder_directory, tmp_path, CLIENTS) as opened:
        yield opened


def test_each_killed_in_turn_under_load_loses_nothing_acknowledged(
    deployment: Deployment, brokers: ThreeBrokers, image_file: Path
) -> None:
    assert find_drift(deployment.kafka, deployment.topics.shared()) == []
    random = Random(5)  # noqa: S311 - the same moments every time
    with BusyDeployment(deployment, ASKER, image_file, random) as busy:
        for number in NUMBERS:
            busy.run_until_stored(random.randint(100, 2000))
            brokers.kill(number)
            busy.run_until_stored(500)  # the other two go on
            brokers.start(number)
            brokers.await_replicas()
        statuses = busy.finish()
    counts = count_rows(deployment.engine, list_sent(deployment.kafka))
    statuses.pop(ASKER)
    acknowledged = sum(status["acknowledged"] for status in statuses.values())
    print(f"{counts}, acknowledged to the clients {acknowledged}")
    print(count_answers(deployment.kafka, CLIENTS))
    assert busy.failures == []
    assert counts.exact
    assert acknowledged == counts.stored == sum(status["encoded"] for status in statuses.values())

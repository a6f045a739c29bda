"""A full disk at the server and at the client: said clearly, waited for, and nothing lost."""

from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker
from stream.settings import KafkaSettings
from tests.support.broker import kill_broker
from tests.support.deployment import Deployment
from tests.support.ingestion import open_ingestion
from tests.support.load import wait_for_rows
from tests.support.tally import count_rows, list_sent
from tests.support.tmpfs import mount_tmpfs

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

CLIENT = "radiology-1"


def test_a_full_disk_at_the_server_is_waited_for(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    disk = tmp_path / "disk"
    with (
        mount_tmpfs(disk, 2) as resize,
        open_ingestion(settings, f"sqlite:///{disk / 'ioa.db'}", tmp_path) as ingestion,
        ingestion.start("full") as process,
    ):
        load = ingestion.make_load()
        with load.running():
            process.wait_for("the disk is full; free some space")
        full = load.tally(ingestion.engine)
        resize(64)
        tally = wait_for_rows(load, ingestion.engine, seconds=120)
        assert process.exit_code is None
    print(f"full: {full}; with space again: {tally}")
    assert full.lost > 0
    assert tally.exact


@pytest.fixture
def clients() -> tuple[str, ...]:
    return (CLIENT,)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_at_the_client_loses_nothing_that_it_took(
    deployment: Deployment, broker: EmbeddedBroker, image_file: Path
) -> None:
    outbox = deployment.directory / "outbox"
    publish = ("client", "publish", "--data", image_file, "--timeout", 3, "--json")
    with mount_tmpfs(outbox, 1) as resize, deployment.start("server", "run"):
        kill_broker(broker)
        publisher = deployment.start(*publish, client=CLIENT)
        assert publisher.wait() == 1
        assert f"the disk of outbox {outbox / CLIENT}.db is full" in publisher.text
        broker.start()
        resize(32)
        drained = deployment.start("client", "outbox", "drain", "--json", client=CLIENT).finish()
        status = deployment.start("client", "status", "--json", client=CLIENT).finish()
    tally = count_rows(deployment.engine, list_sent(deployment.kafka))
    print(f"{tally}; acknowledged {status['acknowledged']} of {status['encoded']} taken")
    assert drained["waiting"] == 0
    assert 0 < tally.sent == status["acknowledged"] == status["encoded"]
    assert tally.exact

"""A full disk at the server and at the client is reported and waited for; nothing is lost."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker
from stream.kafka.settings import KafkaSettings
from tests.support.broker import kill_broker
from tests.support.deployment import Deployment
from tests.support.ingestion import Ingestion, open_ingestion
from tests.support.load import wait_for_rows
from tests.support.message_counts import count_rows, list_sent
from tests.support.postgres import run_postgres
from tests.support.tmpfs import mount_tmpfs

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

CLIENT = "radiology-1"


def fill_and_free(ingestion: Ingestion, words: str, free: Callable[[], object]) -> None:
    """Ingest until the log names the full disk, free space, and check that all is stored."""
    load = ingestion.make_load()
    with ingestion.start("full") as process:
        with load.running():
            process.wait_for(words)
        free()
        counts = wait_for_rows(load, ingestion.engine)
        assert process.exit_code is None
    print(counts)
    assert counts.exact


def test_a_full_disk_under_sqlite_is_waited_for(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    url = f"sqlite:///{tmp_path / 'disk' / 'ioa.db'}"
    with (
        mount_tmpfs(tmp_path / "disk", 2) as resize,
        open_ingestion(settings, url, tmp_path) as ingestion,
    ):
        fill_and_free(ingestion, "the disk is full; free some space", lambda: resize(64))


def test_a_full_disk_under_postgresql_is_waited_for(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    """PostgreSQL aborts when it cannot write its log, and stays down until it is restarted."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with (
        tempfile.TemporaryDirectory(prefix="ioa-disk-") as disk,
        mount_tmpfs(Path(disk), 60) as resize,
        run_postgres(Path(disk)) as server,
        open_ingestion(settings, server.create_database(), tmp_path) as ingestion,
    ):

        def free() -> None:
            resize(256)
            server.start()

        fill_and_free(ingestion, "No space left on device", free)


@pytest.fixture
def clients() -> tuple[str, ...]:
    return (CLIENT,)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_at_the_client_loses_no_message_of_the_outbox(
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
        drained = deployment.start("outbox", "drain", "--json", client=CLIENT).finish()
        status = deployment.start("client", "status", "--json", client=CLIENT).finish()
    counts = count_rows(deployment.engine, list_sent(deployment.kafka))
    print(f"{counts}; acknowledged {status['acknowledged']} of {status['encoded']} taken")
    assert drained["waiting"] == 0
    assert 0 < counts.sent == status["acknowledged"] == status["encoded"]
    assert counts.exact

"""Records that nobody should send end no service, and each of them has one fate.

``pytest -m crash -rP --fuzz-records 500000 tests/crash/test_fuzz.py`` runs for longer.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from stream.exchange.exchanges import LEARNING, SERVICE
from stream.kafka.settings import KafkaSettings
from tests.support.deployment import Deployment
from tests.support.fates import count_records, follow_learning, follow_service
from tests.support.foreign_producers import PRODUCERS
from tests.support.fuzz import Fuzzer
from tests.support.probe import Probe, find_free_address
from tests.support.processes import IoaProcess
from tests.support.server import store_classifier
from tests.support.waiting import LONG, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200)]

CLIENTS = ("radiology-1", "radiology-2", "radiology-3")
LABELS = ("chest", "hand", "head")
MOST_MEMORY = 300e6
"""Bytes that a service may ever have had in memory."""


@pytest.fixture
def deployment(
    kafka: str, topic_prefix: str, database_url: str, encoder_directory: Path, tmp_path: Path
) -> Iterator[Deployment]:
    """A deployment with a classifier, on the broker of all tests: nobody kills it."""
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with Deployment(settings, database_url, encoder_directory, tmp_path, CLIENTS) as opened:
        encoder = opened.manifest
        store_classifier(opened.engine, encoder.network_id, LABELS, encoder.latent_dim)
        yield opened


def read_peak(process: IoaProcess) -> int:
    """Return the most bytes that a process ever had in memory (VmHWM, Linux)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("there is no VmHWM in /proc")


def wait_until_handled(process: IoaProcess, probe: Probe, records: int) -> None:
    """Wait until a service has handled so many records; fail if it ends."""

    def is_done() -> bool:
        assert process.exit_code is None, f"ended with {process.exit_code}: {process.text[-5000:]}"
        return probe.sum_metric("ioa_consumed_records_total") >= records

    wait_until(is_done, f"fewer than {records} records are handled", LONG + records / 100)


def fuzz(deployment: Deployment, producer: str, count: int) -> None:
    """Send ``count`` records while both services run, and check what became of each."""
    kafka, probes = deployment.kafka, [Probe(find_free_address()) for _ in range(2)]
    encoder = deployment.manifest
    fuzzer = Fuzzer(Random(5), CLIENTS, encoder.network_id, encoder.latent_dim)  # noqa: S311
    with (
        deployment.start("server", "ingest", "--health", probes[0].address) as ingest,
        deployment.start("server", "infer", "--health", probes[1].address) as infer,
    ):
        for probe in probes:
            probe.wait_until_ready()
        PRODUCERS[producer](kafka, fuzzer.draw(count))
        for process, probe, exchange in zip(
            (ingest, infer), probes, (LEARNING, SERVICE), strict=True
        ):
            records = count_records(kafka, deployment.topics.of(exchange).name)
            wait_until_handled(process, probe, records)
            assert not probe.read_faults()
        expired = int(probes[1].metric("ioa_service_messages_total", outcome="expired"))
        peaks = [read_peak(process) for process in (ingest, infer)]
    learning = follow_learning(kafka, deployment.engine, CLIENTS)
    service = follow_service(kafka, CLIENTS, expired=expired)
    print(learning, service, f"at most {peaks[0] / 1e6:.0f} and {peaks[1] / 1e6:.0f} MB", sep="\n")
    assert learning.sent + service.sent == count
    assert learning.exact, learning
    assert service.exact, service
    assert min(learning.stored, learning.dead_lettered, service.answered) > count / 20
    assert max(peaks) < MOST_MEMORY


def test_of_half_a_million_records_each_has_one_fate(
    deployment: Deployment, request: pytest.FixtureRequest
) -> None:
    fuzz(deployment, "librdkafka", request.config.getoption("--fuzz-records"))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("producer", "count"), [("java", 2_000), ("kcat", 200)])
def test_whoever_sends_them(deployment: Deployment, producer: str, count: int) -> None:
    fuzz(deployment, producer, count)

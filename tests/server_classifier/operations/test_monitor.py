"""The HTTP side of health and metrics, at a real port."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from server_classifier.errors import AddressUnusable
from server_classifier.operations.metrics import TrainingMetrics, count_learning
from server_classifier.operations.monitor import make_app, open_monitor, parse_address, serve
from stream.health import Fault
from tests.support.probe import Probe, find_free_address


@pytest.fixture
def faults() -> list[Fault]:
    return []


@pytest.fixture
def probe(faults: list[Fault]) -> Iterator[Probe]:
    app = make_app(CollectorRegistry(), alive=list, ready=lambda: faults)
    address = find_free_address()
    with serve(address, app):
        yield Probe(address)


def test_a_service_that_is_well_answers_200(probe: Probe) -> None:
    assert probe.read_faults("/healthz") == probe.read_faults("/readyz") == {}


def test_a_fault_is_503_and_names_reason_and_beginning(probe: Probe, faults: list[Fault]) -> None:
    faults.append(Fault("database", "is locked", 90.0))
    fault = probe.read_faults()["database"]
    age = datetime.now(UTC) - datetime.fromisoformat(fault["since"])
    assert (fault["reason"], fault["seconds"]) == ("is locked", 90.0)
    assert 89 <= age.total_seconds() < 120
    assert probe.read_faults("/healthz") == {}
    faults.clear()
    assert probe.read_faults() == {}


@pytest.mark.parametrize("path", ["/", "/healthz/", "/favicon.ico", "/../etc/passwd"])
def test_other_paths_are_not_found(probe: Probe, path: str) -> None:
    status, body = probe.get(path)
    assert status == 404
    assert json.loads(body)["paths"] == ["/healthz", "/readyz", "/metrics"]


def test_head_is_answered_as_get_without_the_body(probe: Probe, faults: list[Fault]) -> None:
    assert probe.get("/readyz", "HEAD") == (200, "")
    faults.append(Fault("database", "is locked", 90.0))
    assert probe.get("/readyz", "HEAD") == (503, "")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_nothing_can_be_sent(probe: Probe, path: str) -> None:
    assert probe.get(path, "POST")[0] == 405


def test_a_port_in_use_is_an_error_that_names_the_option() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressUnusable, match=f"--health {address}: cannot listen there"):
            open_monitor(address).__enter__()


@pytest.mark.parametrize(
    "address",
    ["", "here", "host:", "0", "127.0.0.1:65536", "127.0.0.1:-1", "::1:9100", "[]:9100", "[::1]"],
)
def test_what_is_no_address_is_an_error(address: str) -> None:
    with pytest.raises(AddressUnusable, match=r"is not \[HOST:\]PORT"):
        parse_address(address)


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),  # noqa: S104
        ("[::1]:9100", ("::1", 9100)),
    ],
)
def test_without_a_host_only_this_machine_is_served(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


def test_an_ipv6_address_is_served() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    address = find_free_address().replace("127.0.0.1", "[::1]")
    with open_monitor(address):
        assert Probe(address).get("/healthz")[0] == 200


def test_a_host_that_nobody_knows_is_not_called_taken() -> None:
    with pytest.raises(AddressUnusable, match=r"cannot listen there .* give another address"):
        open_monitor("nowhere.invalid:9100").__enter__()


def test_the_port_is_free_again_afterwards() -> None:
    address = find_free_address()
    for _ in range(2):
        with open_monitor(address):
            assert Probe(address).get("/healthz")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        Probe(address).get("/healthz")


def test_metrics_are_there_from_the_start_and_show_what_was_noted() -> None:
    address = find_free_address()
    with open_monitor(address) as monitor:
        probe = Probe(address)
        learning = count_learning(monitor.registry)
        training = TrainingMetrics(monitor.registry)
        assert probe.metric("ioa_ready") == 0
        assert probe.metric("ioa_learning_messages_total", outcome="known") == 0
        assert probe.metric("ioa_dependency_waits_total", dependency="kafka") == 0

        learning.count(stored=5, known=2, refused=0)
        learning.count(stored=1, known=0, refused=1)
        training.count_training(seconds=1.5, labels=3)
        training.show_rows(trained=40, new=3)
        monitor.health.begin({("ioa.learning", 3): 20})
        monitor.health.see_ends({("ioa.learning", 3): 50})
        assert probe.metric("ioa_learning_messages_total", outcome="stored") == 6
        assert probe.sum_metric("ioa_learning_messages_total") == 9
        assert probe.metric("ioa_trainings_total", outcome="trained") == 1
        assert probe.metric("ioa_training_seconds_bucket", le="2.0") == 1
        assert probe.metric("ioa_trained_rows") == 40
        assert probe.metric("ioa_ready") == 1
        assert probe.metric("ioa_partition_position", topic="ioa.learning", partition="3") == 20
        assert probe.metric("ioa_partition_lag", topic="ioa.learning", partition="3") == 30

        monitor.health.wait_for("database", "is locked")
        assert probe.metric("ioa_ready") == 0
        assert probe.metric("ioa_dependency_waits_total", dependency="database") == 1
        assert probe.metric("ioa_dependency_waiting_seconds", dependency="database") > 0
        assert probe.metric("process_resident_memory_bytes") > 1e6


def test_two_services_in_one_process_count_apart() -> None:
    with open_monitor(None) as one, open_monitor(None) as two:
        count_learning(one.registry).count(stored=1)
        count_learning(two.registry)
        name, labels = "ioa_learning_messages_total", {"outcome": "stored"}
        assert one.registry.get_sample_value(name, labels) == 1
        assert two.registry.get_sample_value(name, labels) == 0

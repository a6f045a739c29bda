"""``ioa server run`` as an operator starts it: one address tells how all three services are."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil
import pytest
from prometheus_client import CollectorRegistry

from ioa.run.children_health import ChildrenHealth, choose_addresses
from ioa.run.supervisor import SERVICES
from server_classifier.errors import AddressUnusable
from server_classifier.operations.monitor import make_app, serve
from stream.health import LONGEST_SILENCE_SECONDS, Fault
from tests.support.commands import IOA
from tests.support.probe import Probe, find_free_address
from tests.support.waiting import LONG


@pytest.fixture
def run(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[tuple[Probe, psutil.Process]]:
    address = find_free_address(ports=4)
    command = [*IOA, "server", "run", "-b", kafka, "--prefix", topic_prefix]
    command += ["--database", f"sqlite:///{tmp_path / 'ioa.db'}", "--health", address]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env=os.environ)
    try:
        yield Probe(address), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(LONG)


def find_child(supervisor: psutil.Process, name: str) -> psutil.Process | None:
    for child in supervisor.children(recursive=True):
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            if child.cmdline()[-2:] == ["server", name]:
                return child
    return None


@pytest.mark.timeout(600)
def test_one_address_tells_of_all_services(run: tuple[Probe, psutil.Process]) -> None:
    probe, supervisor = run
    probe.wait_until_ready()
    infer = find_child(supervisor, "infer")
    assert infer is not None
    infer.suspend()
    fault = probe.wait_for_fault("infer")
    assert probe.read_faults("/healthz") == {}
    assert "does not answer" in fault["reason"]
    infer.kill()
    probe.wait_until_ready()

    metrics = probe.read_metrics()
    for name, starts in (("ingest", 1), ("infer", 2), ("train", 1)):
        assert metrics["ioa_service_starts_total", frozenset({("service", name)})] == starts
        assert metrics["ioa_ready", frozenset({("service", name)})] == 1
    stored = frozenset({("outcome", "stored"), ("service", "ingest")})
    assert metrics["ioa_learning_messages_total", stored] == 0


def test_services_listen_on_this_machine_at_the_ports_after_the_supervisors() -> None:
    port = int(find_free_address(ports=4).rpartition(":")[2])
    assert choose_addresses(f"0.0.0.0:{port}", SERVICES) == {
        name: f"127.0.0.1:{port + i}" for i, name in enumerate(SERVICES, start=1)
    }
    assert choose_addresses(None, SERVICES) == {}


def test_a_port_of_a_service_that_is_taken_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(AddressUnusable, match=f"127.0.0.1:{taken}: cannot listen there"):
            choose_addresses(str(taken - 1), SERVICES)


@pytest.mark.parametrize("port", [65533, 65535])
def test_ports_that_do_not_exist_are_an_error_that_names_what_was_typed(port: int) -> None:
    with pytest.raises(AddressUnusable, match=f"--health {port}: .* give 65532 or less"):
        choose_addresses(str(port), SERVICES)


def test_a_child_that_hangs_is_told_and_one_that_is_starting_is_not() -> None:
    hangs = lambda: [Fault("loop", "gives no sign of life", 400.0)]  # noqa: E731
    address = find_free_address()
    with serve(address, make_app(CollectorRegistry(), alive=hangs, ready=list)):
        addresses = {"ingest": address, "train": find_free_address()}
        children = ChildrenHealth(addresses, monotonic)
        assert [fault.what for fault in children.find_liveness_faults()] == ["ingest: loop"]
        assert [fault.what for fault in children.find_faults()] == ["train"]


@dataclass
class Clock:
    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_child_that_stays_silent_hangs_unless_it_is_started_again() -> None:
    clock, address = Clock(), find_free_address()
    children = ChildrenHealth({"train": address}, clock)
    assert children.find_liveness_faults() == []
    children.note_start("train")
    clock.time += LONGEST_SILENCE_SECONDS - 1
    assert children.find_liveness_faults() == []
    clock.time += 1
    assert [fault.what for fault in children.find_liveness_faults()] == ["train"]
    children.note_start("train")
    assert children.find_liveness_faults() == []
    clock.time += LONGEST_SILENCE_SECONDS
    with serve(address, make_app(CollectorRegistry(), alive=list, ready=list)):
        assert children.find_liveness_faults() == []
    assert children.find_liveness_faults() == []


def test_silence_is_told_since_the_start_or_since_the_last_answer() -> None:
    clock, address = Clock(), find_free_address()
    children = ChildrenHealth({"train": address}, clock)
    children.note_start("train")
    clock.time += 7
    assert [fault.seconds for fault in children.find_faults()] == [7]
    with serve(address, make_app(CollectorRegistry(), alive=list, ready=list)):
        clock.time += 2
        assert children.find_faults() == []
    assert children.find_liveness_faults() == []  # notes the silence, too
    clock.time += 4
    assert [fault.seconds for fault in children.find_faults()] == [4]

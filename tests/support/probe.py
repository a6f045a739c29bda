"""Reads the health and metrics of a service over HTTP, as an operator's tools do."""

import json
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import LONG

Faults = dict[str, dict[str, Any]]


def find_free_address(ports: int = 1) -> str:
    """Return an address of this machine with so many consecutive free ports.

    The ports are below those that Linux gives to connections: such a port could be taken again
    before a slow service listens.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with ExitStack() as stack, suppress(OSError):
            for i in range(ports):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + i))
            return f"127.0.0.1:{port}"


@dataclass(frozen=True)
class Probe:
    """Reads the three paths of the service at ``address``."""

    address: str

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the status and the body of the answer."""
        connection = HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def read_faults(self, path: str = "/readyz") -> Faults:
        """Return its faults by the dependency they blame; fail if the status disagrees."""
        status, body = self.get(path)
        answer = json.loads(body)
        assert status == (200 if answer["ok"] else 503)
        assert answer["ok"] == (not answer["faults"])
        return {fault["what"]: fault for fault in answer["faults"]}

    def wait_until_ready(self, seconds: float = LONG) -> None:
        """Wait for the first 200, also while nobody listens yet."""
        self._wait(lambda: not self.read_faults(), "be ready", seconds)

    def wait_for_fault(self, what: str, seconds: float = LONG) -> dict[str, Any]:
        """Wait until it blames ``what``, and return the fault."""
        self._wait(lambda: what in self.read_faults(), f"blame {what}", seconds)
        return self.read_faults()[what]

    def _wait(self, condition: Callable[[], bool], wish: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
                seen = str(self.read_faults())
            except OSError as error:
                seen = str(error)
            assert time.monotonic() < deadline, f"it does not {wish}: {seen}"
            time.sleep(0.05)

    def read_metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return all samples by name and labels; fail if one appears twice."""
        status, text = self.get("/metrics")
        assert status == 200
        samples = [
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
        assert len(dict(samples)) == len(samples)
        return dict(samples)

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample."""
        return self.read_metrics()[name, frozenset(labels.items())]

    def wait_for_metric(self, name: str, value: float, seconds: float = LONG) -> None:
        """Wait until a metric without labels has this value."""
        deadline = time.monotonic() + seconds
        while (current := self.metric(name)) != value:
            assert time.monotonic() < deadline, f"{name} is {current:g}, not {value:g}"
            time.sleep(0.05)

    def sum_metric(self, name: str) -> float:
        """Return the sum of a metric over all its labels."""
        return sum(value for (key, _), value in self.read_metrics().items() if key == name)

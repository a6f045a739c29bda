"""The health of the supervisor's child processes, asked over HTTP and served as one."""

import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import orjson
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server_classifier.errors import AddressUnusable
from server_classifier.operations.monitor import (
    LAST_PORT,
    check_free,
    make_app,
    parse_address,
    serve,
)
from stream.health import LONGEST_SILENCE_SECONDS, Fault, Health

_HOST = "127.0.0.1"
_TIMEOUT_SECONDS = 2.0


class ChildrenHealth(Collector):
    """Asks each child process for its health and its metrics, and counts its starts.

    Args:
        addresses: where each child serves its health, by name.
        clock: monotonic seconds.
    """

    def __init__(self, addresses: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._addresses = addresses
        self._clock = clock
        self._starts = Counter(
            "ioa_service_starts", "Starts of a child process.", ["service"], registry=None
        )
        self._started_at: dict[str, float] = {}
        self._silent_since: dict[str, float] = {}

    def note_start(self, name: str) -> None:
        """Note that a child starts now; it counts as silent until its first answer."""
        now = self._clock()
        self._starts.labels(name).inc()
        self._started_at[name] = now
        self._silent_since.setdefault(name, now)

    def find_faults(self) -> list[Fault]:
        """Return why not all of the children are ready."""
        return self._find("/readyz", 0.0)

    def find_liveness_faults(self) -> list[Fault]:
        """Return which children hang: they say so, or have been silent too long since their start.

        A child that has exited has no liveness fault, because the supervisor restarts it.
        """
        return self._find("/healthz", LONGEST_SILENCE_SECONDS)

    def _find(self, path: str, patience: float) -> list[Fault]:
        """Return the faults of all children; silence longer than ``patience`` seconds is one."""
        faults = []
        for name in self._addresses:
            if (body := self._ask(name, path)) is not None:
                faults += [
                    Fault(f"{name}: {fault['what']}", fault["reason"], fault["seconds"])
                    for fault in orjson.loads(body)["faults"]
                ]
                continue
            now = self._clock()
            silent = now - self._silent_since.get(name, now)  # another thread may have an answer
            running = now - self._started_at.get(name, now)
            if min(silent, running) >= patience:
                faults.append(Fault(name, "the process does not answer; see its log", silent))
        return faults

    def _ask(self, name: str, path: str) -> bytes | None:
        """Return a child's answer, None without one, and note since when it is silent."""
        body = _get(self._addresses[name], path)
        if body is None:
            self._silent_since.setdefault(name, self._clock())
        else:
            self._silent_since.pop(name, None)
        return body

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all children, each sample with the label ``service``."""
        merged: dict[str, Metric] = {}
        yield from self._starts.collect()
        for name in self._addresses:
            text = (self._ask(name, "/metrics") or b"").decode()
            for family in text_string_to_metric_families(text):
                metric = merged.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                metric.samples += [
                    sample._replace(labels={**sample.labels, "service": name})
                    for sample in family.samples
                ]
        yield from merged.values()


def _get(address: str, path: str) -> bytes | None:
    """Return the body of an answer, whatever its status; None without one."""
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def choose_addresses(address: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """Return where each child serves its health: on the ports after the supervisor's.

    Raises:
        AddressUnusable: ``address`` is not ``[HOST:]PORT``, or the ports after it are not free or
            do not exist.
    """
    if address is None:
        return {}
    _, port = parse_address(address)
    if port + len(names) > LAST_PORT:
        raise AddressUnusable(
            f"--health {address}: the services need the next {len(names)} ports, and there is none "
            f"after {LAST_PORT}; give {LAST_PORT - len(names)} or less"
        )
    addresses = {name: f"{_HOST}:{port + 1 + i}" for i, name in enumerate(names)}
    for child in addresses.values():
        check_free(child)  # otherwise another process's answers would pass for the child's
    return addresses


@contextmanager
def serve_health(
    address: str | None, addresses: Mapping[str, str], health: Health
) -> Iterator[ChildrenHealth]:
    """Serve the health of supervisor and children at ``address``, if it is given.

    Yields the children's health, which must be informed of their starts.
    """
    children = ChildrenHealth(addresses, time.monotonic)
    if address is None:
        yield children
        return
    registry = CollectorRegistry()
    registry.register(children)
    app = make_app(
        registry,
        alive=lambda: health.find_liveness_faults() or children.find_liveness_faults(),
        # Until the supervisor itself is ready there are no children to ask.
        ready=lambda: health.find_faults() or children.find_faults(),
    )
    with serve(address, app):
        yield children

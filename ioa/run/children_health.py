"""The health of the supervisor's children, asked over HTTP and told as one."""

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
        addresses: of the children, by name.
        clock: seconds that never go back.
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
        """Note that a child was started just now; until its first answer it is silent."""
        now = self._clock()
        self._starts.labels(name).inc()
        self._started_at[name] = now
        self._silent_since.setdefault(name, now)

    def find_faults(self) -> list[Fault]:
        """Return why not all of the children are ready."""
        return [fault for name in self._addresses for fault in self._find_faults_of(name)]

    def find_liveness_faults(self) -> list[Fault]:
        """Return which children hang: they say so, or say nothing for too long after their start.

        A child that has exited is no standstill, as the supervisor starts it again.
        """
        return [fault for name in self._addresses for fault in self._find_liveness_faults_of(name)]

    def _find_faults_of(self, name: str) -> list[Fault]:
        body = self._ask(name, "/readyz")
        return [self._describe_silence(name)] if body is None else _read(name, body)

    def _find_liveness_faults_of(self, name: str) -> list[Fault]:
        if (body := self._ask(name, "/healthz")) is not None:
            return _read(name, body)
        now = self._clock()
        silence = self._describe_silence(name)
        running = now - self._started_at.get(name, now)
        return [silence] if min(silence.seconds, running) >= LONGEST_SILENCE_SECONDS else []

    def _ask(self, name: str, path: str) -> bytes | None:
        """Return a child's answer, and keep since when there is none."""
        body = _get(self._addresses[name], path)
        if body is None:
            self._silent_since.setdefault(name, self._clock())
        else:
            self._silent_since.pop(name, None)
        return body

    def _describe_silence(self, name: str) -> Fault:
        now = self._clock()
        seconds = now - self._silent_since.get(name, now)  # another thread may have got an answer
        return Fault(name, "the process does not answer; see its log", seconds)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all children, each sample with the label ``service``."""
        merged: dict[str, Metric] = {}
        yield from self._starts.collect()
        for name in self._addresses:
            text = (self._ask(name, "/metrics") or b"").decode()
            for family in text_string_to_metric_families(text):
                same = Metric(family.name, family.documentation, family.type)
                same = merged.setdefault(family.name, same)
                for sample in family.samples:
                    same.samples.append(sample._replace(labels={**sample.labels, "service": name}))
        yield from merged.values()


def _get(address: str, path: str) -> bytes | None:
    """Return the body of an answer of any status; None without one."""
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _read(name: str, body: bytes) -> list[Fault]:
    return [
        Fault(f"{name}: {fault['what']}", fault["reason"], fault["seconds"])
        for fault in orjson.loads(body)["faults"]
    ]


def choose_addresses(address: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """Return where each child serves its health: at the ports after the supervisor's own.

    Raises:
        AddressUnusable: ``address`` is no ``[HOST:]PORT``, or the ports after it are not free or
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
        check_free(child)  # else somebody else's answers would be taken for the child's
    return addresses


@contextmanager
def serve_health(
    address: str | None, addresses: Mapping[str, str], health: Health
) -> Iterator[ChildrenHealth]:
    """Serve the health of supervisor and children at ``address``, if there is one.

    Yields the children's, to be told of their starts.
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
        # Until the supervisor itself is ready there are no children to be asked.
        ready=lambda: health.find_faults() or children.find_faults(),
    )
    with serve(address, app):
        yield children

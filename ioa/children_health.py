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

from server_classifier.monitor import check_free, make_app, parse_address, serve
from stream.health import Fault, Health

_HOST = "127.0.0.1"
_TIMEOUT_SECONDS = 2.0


class ChildrenHealth(Collector):
    """Asks each child process for its health and its metrics.

    Args:
        addresses: of the children, by name.
        clock: seconds that never go back.
    """

    def __init__(self, addresses: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._addresses = addresses
        self._clock = clock
        self._silent_since: dict[str, float] = {}

    def find_faults(self) -> list[Fault]:
        """Return why not all of the children are ready."""
        return [fault for name in self._addresses for fault in self._find_faults_of(name)]

    def find_standstill(self) -> list[Fault]:
        """Return which children hang; one that does not answer is about to be started again."""
        answers = {name: _get(address, "/healthz") for name, address in self._addresses.items()}
        return [fault for name, body in answers.items() if body for fault in _read(name, body)]

    def _find_faults_of(self, name: str) -> list[Fault]:
        body = _get(self._addresses[name], "/readyz")
        if body is None:
            seconds = self._clock() - self._silent_since.setdefault(name, self._clock())
            return [Fault(name, "the process does not answer; see its log", seconds)]
        self._silent_since.pop(name, None)
        return _read(name, body)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all children, each sample with the label ``service``."""
        merged: dict[str, Metric] = {}
        for name, address in self._addresses.items():
            text = (_get(address, "/metrics") or b"").decode()
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
        AddressUnusable: ``address`` is no ``[HOST:]PORT``, or the ports after it are not free.
    """
    if address is None:
        return {}
    _, port = parse_address(address)
    addresses = {name: f"{_HOST}:{port + 1 + i}" for i, name in enumerate(names)}
    for child in addresses.values():
        check_free(child)  # else somebody else's answers would be taken for the child's
    return addresses


@contextmanager
def serve_health(
    address: str | None, addresses: Mapping[str, str], health: Health
) -> Iterator[Counter]:
    """Serve the health of supervisor and children at ``address``, if there is one.

    Yields the counter of the children's starts.
    """
    children = ChildrenHealth(addresses, time.monotonic)
    registry = CollectorRegistry()
    registry.register(children)
    starts = Counter(
        "ioa_service_starts", "Starts of a child process.", ["service"], registry=registry
    )
    if address is None:
        yield starts
        return
    app = make_app(
        registry,
        alive=lambda: health.find_standstill() or children.find_standstill(),
        # Until the supervisor itself is ready there are no children to be asked.
        ready=lambda: health.find_faults() or children.find_faults(),
    )
    with serve(address, app):
        yield starts

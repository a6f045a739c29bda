"""``/healthz``, ``/readyz`` and ``/metrics`` of a service, served by a thread beside its loop.

``/healthz`` fails when the loop hangs, which a restart may mend; ``/readyz`` while the service
cannot do its work, which mends itself: a restart would only lose time.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app

from server_classifier.errors import AddressUnusable
from server_classifier.metrics import HealthMetrics
from stream.health import Fault, Health

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Probe = Callable[[], list[Fault]]


@dataclass(frozen=True)
class Monitor:
    """The health of one service, and the registry of its metrics."""

    health: Health
    registry: CollectorRegistry


@contextmanager
def open_monitor(address: str | None) -> Iterator[Monitor]:
    """Yield the monitor of a service and serve it at ``address``, ``[HOST:]PORT``, if there is one.

    Raises:
        AddressUnusable: it is none, or nobody can listen there.
    """
    health, registry = Health(time.monotonic), CollectorRegistry()
    registry.register(HealthMetrics(health))
    ProcessCollector(registry=registry)
    app = make_app(registry, alive=health.find_standstill, ready=health.find_faults)
    with serve(address, app) if address is not None else nullcontext():
        yield Monitor(health, registry)


def make_app(registry: CollectorRegistry, *, alive: Probe, ready: Probe) -> "WSGIApplication":
    """Return the application with the three paths; any other is not found.

    Both probes return the reasons against; each is answered with 503 and the reasons as JSON.
    """
    metrics = make_wsgi_app(registry)
    probes = {"/healthz": alive, "/readyz": ready}

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path not in probes:
            status, body = "404 Not Found", b'{"paths":["/healthz","/readyz","/metrics"]}'
        elif environ["REQUEST_METHOD"] != "GET":
            status, body = "405 Method Not Allowed", b'{"methods":["GET"]}'
        else:
            faults = probes[path]()
            status, body = "503 Service Unavailable" if faults else "200 OK", _to_json(faults)
        start_response(status, [("Content-Type", "application/json")])
        return [body + b"\n"]

    return app


def _to_json(faults: list[Fault]) -> bytes:
    now = datetime.now(UTC)
    listed = [
        {
            "what": fault.what,
            "reason": fault.reason,
            "since": (now - timedelta(seconds=fault.seconds)).isoformat(timespec="seconds"),
            "seconds": round(fault.seconds, 1),
        }
        for fault in faults
    ]
    return orjson.dumps({"ok": not faults, "faults": listed})


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # whoever asks slowly keeps neither others nor the end of the process


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, *_: object) -> None:
        """Say nothing: somebody asks every few seconds."""


@contextmanager
def serve(address: str, app: "WSGIApplication") -> Iterator[int]:
    """Serve ``app`` at ``[HOST:]PORT`` until the block ends; yield the port.

    Raises:
        AddressUnusable: it is no such address, or nobody can listen there.
    """
    host, port = parse_address(address)
    with _errors_in_words(address):
        server = make_server(host, port, app, _Server, _Handler)
    with server:
        thread = Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def check_free(address: str) -> None:
    """Do nothing where one can listen at ``[HOST:]PORT``.

    Raises:
        AddressUnusable: one cannot.
    """
    with _errors_in_words(address):
        socket.create_server(parse_address(address)).close()


@contextmanager
def _errors_in_words(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AddressUnusable(
            f"--health {address}: cannot listen there ({error.strerror}); does another service? "
            "Give each an address of its own"
        ) from error


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``; without a host it is this machine alone.

    Raises:
        AddressUnusable: it is no such address.
    """
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise AddressUnusable(f"--health {address}: is not [HOST:]PORT, for example 9100")
    return host or "127.0.0.1", int(port)

"""``/healthz``, ``/readyz`` and ``/metrics`` of a service, served by a thread beside its loop.

``/healthz`` fails while the loop hangs: a restart may help. ``/readyz`` fails while the service
cannot do its work: it recovers by itself, and a restart would only lose time.
"""

import errno
import re
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
from server_classifier.operations.metrics import HealthMetrics
from stream.health import Fault, Health

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LAST_PORT = 65535
_ADDRESS = re.compile(r"(?:(\[[^][]+\]|[^][:]*):)?([0-9]{1,5})")

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
        AddressUnusable: it is no such address, or nobody can listen there.
    """
    health, registry = Health(time.monotonic), CollectorRegistry()
    registry.register(HealthMetrics(health))
    ProcessCollector(registry=registry)
    app = make_app(registry, alive=health.find_liveness_faults, ready=health.find_faults)
    with serve(address, app) if address is not None else nullcontext():
        yield Monitor(health, registry)


def make_app(registry: CollectorRegistry, *, alive: Probe, ready: Probe) -> "WSGIApplication":
    """Return the application with the three paths; any other is not found.

    Both probes return the reasons against; each is answered with 503 and the reasons as JSON.
    HEAD is answered as GET is, without the body.
    """
    metrics = make_wsgi_app(registry)
    probes = {"/healthz": alive, "/readyz": ready}

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        if path not in probes:
            status, body = "404 Not Found", b'{"paths":["/healthz","/readyz","/metrics"]}'
        elif method not in ("GET", "HEAD"):
            status, body = "405 Method Not Allowed", b'{"methods":["GET","HEAD"]}'
        else:
            faults = probes[path]()
            status, body = "503 Service Unavailable" if faults else "200 OK", _to_json(faults)
        size = str(len(body))
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", size)])
        return [] if method == "HEAD" else [body]

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
    return orjson.dumps({"ok": not faults, "faults": listed}, option=orjson.OPT_APPEND_NEWLINE)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a slow client holds up neither others nor the end of the process


class _ServerOnIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = 10.0

    def log_message(self, *_: object) -> None:
        """Log nothing: probes come every few seconds."""


@contextmanager
def serve(address: str, app: "WSGIApplication") -> Iterator[None]:
    """Serve ``app`` at ``[HOST:]PORT`` until the block ends.

    Raises:
        AddressUnusable: it is no such address, or nobody can listen there.
    """
    host, port = parse_address(address)
    with _errors_in_words(address):
        kind = _ServerOnIPv6 if ":" in host else _Server
        server = make_server(host, port, app, kind, _Handler)
    with server:
        thread = Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def check_free(address: str) -> None:
    """Check that ``[HOST:]PORT`` is free to listen at.

    Raises:
        AddressUnusable: it is not, or it is no such address.
    """
    with _errors_in_words(address):
        socket.create_server(parse_address(address)).close()


@contextmanager
def _errors_in_words(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        advice = "give each service an address of its own" if taken else "give another address"
        raise AddressUnusable(
            f"--health {address}: cannot listen there ({error.strerror}); {advice}"
        ) from error


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``[HOST:]PORT``; without a host it is this machine alone.

    An IPv6 address stands in brackets (RFC 3986): ``[::1]:9100``.

    Raises:
        AddressUnusable: it is no such address.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match[2]) <= LAST_PORT:
        raise AddressUnusable(
            f"--health {address}: is not [HOST:]PORT with a port from 1 to {LAST_PORT}, for "
            "example 9100"
        )
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])

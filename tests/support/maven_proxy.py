"""An HTTPS proxy that intercepts TLS with its own certificate authority, as in hospitals."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from jgo.constants import MAVEN_CENTRAL_URL

MAVEN = urlsplit(MAVEN_CENTRAL_URL)


class Interceptor(ThreadingHTTPServer):
    """Answers in place of the Maven repository, from a local repository or with fixed bytes."""

    def __init__(self, repository: Path, authority: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.repository = repository
        self.authority = authority
        self.fixed_answer: bytes | None = None
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(authority, key)

    @property
    def url(self) -> str:
        """The value for HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> bytes | None:
        """Return the body for a path of the Maven repository, or None for 404."""
        if self.fixed_answer is not None:
            return self.fixed_answer
        file = self.repository / path.removeprefix(MAVEN.path).lstrip("/")
        return file.read_bytes() if file.is_file() else None


class _Tunnel(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Interceptor

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(ssl.SSLError, ConnectionError):  # the client distrusts our authority
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb")
            self.close_connection = False  # the next request comes inside the tunnel

    def do_GET(self) -> None:
        body = self.server.answer(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def intercept_maven(repository: Path, scratch: Path) -> Iterator[Interceptor]:
    """Run the proxy until the block ends; skip the test if there is no openssl to make its key."""
    authority, key = scratch / "authority.pem", scratch / "key.pem"
    _make_authority(authority, key)
    with Interceptor(repository, authority, key) as proxy:
        thread = Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def _make_authority(certificate: Path, key: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is needed to make a certificate authority")
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    name = ["-subj", "/CN=hospital", "-addext", f"subjectAltName=DNS:{MAVEN.hostname}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *kind, *name, *files]
    subprocess.run(command, check=True, capture_output=True)

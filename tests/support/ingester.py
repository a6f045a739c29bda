"""``ioa server ingest`` as a process of its own, to be killed."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from server_classifier.settings import ServerSettings
from stream.lifetime import bind_to_parent
from stream.settings import KafkaSettings

_START_SECONDS = 40.0


class IngestProcess:
    """One run of the service; its log is ``log``.

    Args:
        module: what runs it instead of ``ioa``: a control whose guarantees are switched off.
    """

    def __init__(
        self, kafka: KafkaSettings, server: ServerSettings, log: Path, *, module: str = "ioa"
    ) -> None:
        self.log = log
        environment = {
            "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "IOA_KAFKA__PREFIX": kafka.prefix,
            "IOA_SERVER__DATABASE_URL": server.database_url,
            "IOA_SERVER__INSTANCE": server.instance,
        }
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                bind_to_parent([sys.executable, "-m", module, "server", "ingest"]),
                stdout=output,
                stderr=output,
                env=os.environ | environment,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_for(self, words: str) -> None:
        """Wait until its log says ``words``; a process that ends before is an error."""
        deadline = time.monotonic() + _START_SECONDS
        while words not in (text := self.log.read_text()):
            assert self._process.poll() is None, f"ended with {self._process.returncode}: {text}"
            assert time.monotonic() < deadline, f"does not say {words!r}: {text}"
            time.sleep(0.01)

    def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self._process.wait(_START_SECONDS)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

"""``ioa`` commands as child processes that a test can kill."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from ioa.settings import Settings
from stream.lifetime import bind_to_parent
from tests.support.waiting import LONG, wait_until


class IoaProcess:
    """One run of a command. Its output goes into the file ``log``.

    Args:
        arguments: as a person types them after ``ioa``.
        module: runs instead of ``ioa``, such as a control whose guarantees are switched off.
    """

    def __init__(
        self, settings: Settings, log: Path, *arguments: object, module: str = "ioa"
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                bind_to_parent([sys.executable, "-P", "-m", module, *map(str, arguments)]),
                stdout=output,
                stderr=output,
                # One thread each: there are more processes than processors.
                env=settings.child_environment(os.environ) | {"OMP_NUM_THREADS": "1"},
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._process.poll()

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.log.read_text()

    def children(self) -> dict[str, psutil.Process]:
        """Return its running child processes by their last argument."""
        children = {}
        for child in psutil.Process(self.pid).children():
            with suppress(psutil.NoSuchProcess, IndexError):  # it has just ended
                children[child.cmdline()[-1]] = child
        return children

    def wait_for(self, words: str) -> None:
        """Wait until ``words`` are in its log; fail if it ends before."""
        wait_until(
            lambda: words in self.text or self.exit_code is not None,
            f"{self.log} does not say {words!r}",
        )
        assert words in self.text, f"ended with {self.exit_code}: {self.text}"

    def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self._process.wait(LONG)

    def finish(self) -> dict[str, Any]:
        """Wait until a command with ``--json`` has succeeded and return its report."""
        assert self.wait() == 0, f"{self.log}: {self.text}"
        report: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return report

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait(LONG)

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self._process.terminate()
        return self._process.wait(LONG)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

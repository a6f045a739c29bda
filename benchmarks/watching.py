"""Watches a process from outside: when a condition holds, and what memory and CPU it uses."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
from sqlalchemy import Engine, text

from server_classifier.store.database import reading

Check = Callable[[], bool]
_PAUSE_SECONDS = 0.005
_LIMIT_SECONDS = 120.0


def run_command(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run an ``ioa`` command; return its seconds and the most MB that it used."""
    began, most = time.monotonic(), 0.0
    command = [sys.executable, "-P", "-m", "ioa", *arguments]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(psutil.Error):  # it has just ended
            most = max(most, measure_mb(psutil.Process(process.pid)))
        time.sleep(_PAUSE_SECONDS)
    seconds = time.monotonic() - began
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return seconds, most


def await_all(checks: dict[str, Check], began: float) -> dict[str, float]:
    """Wait for all checks; return after how many seconds each was first true."""
    seen: dict[str, float] = {}
    while len(seen) < len(checks):
        for name, check in checks.items():
            if name not in seen and check():
                seen[name] = time.monotonic() - began
        assert time.monotonic() - began < _LIMIT_SECONDS, f"only {seen} of {[*checks]}"
        time.sleep(_PAUSE_SECONDS)
    return seen


def measure_mb(process: psutil.Process) -> float:
    """Return the memory of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family) / 1e6


def measure_cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process so far, without that of its children."""
    times = process.cpu_times()
    return times.user + times.system


def count(engine: Engine, query: str) -> int:
    """Return the number that a query gives."""
    with reading(engine) as connection:
        return int(connection.scalar(text(query)) or 0)

"""``ioa`` commands, run as a person types them."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from ioa.cli.main import main
from stream.kafka.settings import KafkaSettings

Ran = subprocess.CompletedProcess[str]
IOA = (sys.executable, "-P", "-m", "ioa")
"""Starts ``ioa`` as a process of its own; -P as in the children that it starts itself."""


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> Ran:
    """Run ``ioa`` in this process, without the seconds that a new process takes to import.

    Returns its exit code and output, even when it fails.
    """
    command = ["ioa", *map(str, arguments)]
    stdout, stderr = _open_text(), _open_text()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", command)
        patch.setattr(sys, "stdin", io.StringIO())
        for name, value in environment.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        code = _call(main)
    return Ran(command, code, _read(stdout), _read(stderr))


def run_client(kafka: KafkaSettings, client_id: str, encoder: Path, *arguments: object) -> Ran:
    """Run a command of a client in this process, with its outbox beside the encoder."""
    return run(*arguments, cwd=None, **_describe_client(kafka, client_id, encoder))


def start_client(
    kafka: KafkaSettings, client_id: str, encoder: Path, *arguments: object
) -> subprocess.Popen[str]:
    """Start a command of a client as a child process, which a test can kill."""
    return subprocess.Popen(
        [*IOA, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | _describe_client(kafka, client_id, encoder),
    )


def _describe_client(kafka: KafkaSettings, client_id: str, encoder: Path) -> dict[str, str]:
    """Return the environment variables of a client."""
    return {
        "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "IOA_KAFKA__PREFIX": kafka.prefix,
        "IOA_CLIENT__CLIENT_ID": client_id,
        "IOA_CLIENT__ENCODER": str(encoder),
        "IOA_CLIENT__OUTBOX": str(encoder.parent / "outbox"),
    }


def _call(command: Callable[[], None]) -> int:
    """Call a command; return the exit code that Python would give the process."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def _open_text() -> io.TextIOWrapper:
    """Return a text file in memory that also takes bytes, as standard output does."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _read(file: io.TextIOWrapper) -> str:
    file.seek(0)
    return file.read()

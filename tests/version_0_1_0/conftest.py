"""Copies of what version 0.1.0 left on a disk."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import run
from tests.version_0_1_0.made import FOLDER, read_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of all files, for opening changes some."""
    return shutil.copytree(FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py"))


@pytest.fixture
def database(folder: Path) -> str:
    """The address of the server's database."""
    return f"sqlite:///{folder / 'ioa.db'}"


@pytest.fixture
def ask_server(database: str) -> Callable[..., Any]:
    """Run a command on the database and return what it printed as JSON."""

    def ask(*arguments: object) -> Any:
        return read_json(run(*arguments, "--database", database, "--json"))

    return ask

"""Under what conditions a result was made: code, libraries and machine."""

import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

PACKAGES = ("internet-of-autoencoders", "numpy", "onnx", "torch")


class Conditions(BaseModel, frozen=True, extra="forbid"):
    """What may change a result besides its settings and data.

    Attributes:
        commit: of this program's git repository, with ``-dirty`` after it where files differ from
            it; None where the program is installed without a repository.
    """

    machine: str
    versions: dict[str, str]
    commit: str | None

    def describe(self) -> str:
        """Return the conditions in one line."""
        versions = format_versions(self.versions)
        return f"{self.machine}; {versions}; commit {self.commit or 'unknown'}"


@cache
def read_conditions(packages: tuple[str, ...] = PACKAGES) -> Conditions:
    """Return the conditions of this process, with the versions of Python and of some packages."""
    versions = {package: version(package) for package in packages}
    return Conditions(
        machine=f"{platform.machine()}, {platform.system()}",
        versions={"python": platform.python_version()} | versions,
        commit=_read_commit(Path(__file__).parents[3]),
    )


def format_versions(versions: dict[str, str]) -> str:
    """Return versions in words, such as ``python 3.11.9, numpy 2.3.1``."""
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def describe_others(found: Sequence[Conditions], folder: Path) -> str | None:
    """Return a line about trainings with other versions than now, None where there are none."""
    now = read_conditions().versions
    others = [past.versions.items() - now.items() for past in found if past.versions != now]
    if not others:
        return None
    versions = sorted({f"{package} {version}" for other in others for package, version in other})
    return (
        f"{len(others)} trainings were made with {', '.join(versions)}; remove {folder} to do them "
        "again with what is installed now"
    )


def _read_commit(folder: Path) -> str | None:
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        run = subprocess.run(  # noqa: S603 - no words from outside
            [*command, "--exclude=*"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # git is not installed here, or does not trust the folder
    return run.stdout.strip()

"""Under what conditions a result was made: code, libraries and machine."""

import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PACKAGES = ("internet-of-autoencoders", "numpy", "onnx", "torch")


class Conditions(BaseModel):
    """What may change a result beside its trial.

    Attributes:
        commit: of this program's git repository, with ``-dirty`` behind it where files differ from
            it; None where the program is installed without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    versions: dict[str, str]
    commit: str | None


@cache
def read_conditions() -> Conditions:
    """Return the conditions of this process."""
    versions = {package: version(package) for package in PACKAGES}
    return Conditions(
        machine=f"{platform.machine()}, {platform.system()}",
        versions={"python": platform.python_version()} | versions,
        commit=_read_commit(Path(__file__).parents[3]),
    )


def describe_others(found: Sequence[Conditions], folder: Path) -> str | None:
    """Return a line about trainings that were made with other versions, None where none was."""
    now = read_conditions().versions
    others = [one.versions.items() - now.items() for one in found if one.versions != now]
    if not others:
        return None
    versions = sorted({f"{name} {version}" for other in others for name, version in other})
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

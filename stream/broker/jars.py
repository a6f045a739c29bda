"""Which jars make the broker, where Maven keeps them, and the sha256 of each."""

import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stream.artefacts.checksums import sha256_of


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked file: Maven coordinates and the sha256 (hex) of its bytes."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The file name, such as ``kafka-clients-4.3.1.jar``."""
        return f"{self.artifact}-{self.version}.jar"

    def path_in(self, repository: Path) -> Path:
        """Return where Maven's repository layout puts this jar."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.name)

    def matches(self, path: Path) -> bool:
        """Tell whether the file holds exactly the locked bytes."""
        return sha256_of(path) == self.sha256


@dataclass(frozen=True, slots=True)
class Lock:
    """The committed list: Kafka's version and all jars of its class path, in order."""

    kafka: str
    jars: tuple[Jar, ...]


def read_lock() -> Lock:
    """Return the lock file of this package."""
    lock = json.loads(files("stream.broker").joinpath("kafka-jars.lock.json").read_bytes())
    return Lock(lock["kafka"], tuple(Jar(**jar) for jar in lock["jars"]))


def default_repository() -> Path:
    """Return Maven's own local repository (``M2_REPO``), so that jars of other tools are found."""
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")

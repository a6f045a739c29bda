"""Which jars make the broker, and the proof that the ones on disk are those."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stream.broker.errors import BrokerError, needing_extra

Announce = Callable[[str], None]
"""Receives one sentence for a person before something takes seconds."""

logger = logging.getLogger(__name__)


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
        """Where Maven's repository layout puts this jar."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.name)

    def matches(self, path: Path) -> bool:
        """Whether the file holds exactly the locked bytes."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Lock:
    """The committed list: Kafka's version and all jars of its class path, in order."""

    kafka: str
    jars: tuple[Jar, ...]


def read_lock() -> Lock:
    """The lock file of this package."""
    lock = json.loads(files("stream.broker").joinpath("kafka-jars.lock.json").read_bytes())
    return Lock(lock["kafka"], tuple(Jar(**jar) for jar in lock["jars"]))


def default_repository() -> Path:
    """Maven's own local repository, so that jars fetched by other tools are found: `M2_REPO`."""
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def verified_class_path(repository: Path, announce: Announce = logger.info) -> tuple[Path, ...]:
    """All jars of the broker, fetched if they are missing and each compared with its sha256.

    Raises:
        BrokerError: a jar cannot be fetched, or the one on disk has other bytes.
    """
    lock = read_lock()
    missing = [jar for jar in lock.jars if not jar.path_in(repository).exists()]
    if missing:
        announce(f"Fetching {len(missing)} jars of Apache Kafka {lock.kafka} (45 MB in all), once.")
        _fetch(missing, repository)
    _refuse_changed(lock.jars, repository)
    return tuple(jar.path_in(repository) for jar in lock.jars)


def _fetch(jars: Sequence[Jar], repository: Path) -> None:
    with needing_extra():
        # Imported only here: jgo costs a third of a second, and a warm start does not need it.
        from stream.broker.download import fetch_jars
    fetch_jars(jars, repository)


def _refuse_changed(jars: Sequence[Jar], repository: Path) -> None:
    for jar in jars:
        path = jar.path_in(repository)
        if not jar.matches(path):
            raise BrokerError(
                f"{jar.name} in {path.parent} is not the file this project was tested with "
                f"(its sha256 is not {jar.sha256}): delete it and start again to fetch it anew"
            )

"""The class path of the broker: every locked jar, fetched if it is missing, and its sum checked."""

import logging
from collections.abc import Callable
from pathlib import Path

from stream.broker.errors import BrokerError, needing_extra
from stream.broker.jars import read_lock

Announce = Callable[[str], None]
"""Receives one sentence for a person before something takes seconds."""

logger = logging.getLogger(__name__)


def verified_class_path(repository: Path, announce: Announce = logger.info) -> tuple[Path, ...]:
    """Return all jars of the broker; fetch those that are missing and check the sha256 of each.

    Raises:
        BrokerError: a jar cannot be fetched, or the one on disk has other bytes.
    """
    lock = read_lock()
    missing = [jar for jar in lock.jars if not jar.path_in(repository).exists()]
    if missing:
        announce(f"Fetching {len(missing)} jars of Apache Kafka {lock.kafka} (45 MB in all), once.")
        with needing_extra():
            # Imported only here: jgo costs a third of a second, and a warm start does not need it.
            from stream.broker.download import fetch_jars
        fetch_jars(missing, repository)
    for jar in lock.jars:
        path = jar.path_in(repository)
        if not jar.matches(path):
            raise BrokerError(
                f"{jar.name} in {path.parent} is not the file this project was tested with "
                f"(its sha256 is not {jar.sha256}): delete it and start again to fetch it anew"
            )
    return tuple(jar.path_in(repository) for jar in lock.jars)

"""Nobody but its owner reads what a broker keeps, whatever the umask is or was."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    """Permit everything to everybody, unless a file says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def list_open(directory: Path) -> list[str]:
    """Return what others than the owner may do anything with."""
    return [
        str(path.relative_to(directory))
        for path in (directory, *directory.rglob("*"))
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]


def test_a_directory_is_private_and_one_of_before_becomes_so(tmp_path: Path) -> None:
    directory = tmp_path / "kafka"
    with EmbeddedBroker(directory) as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        create_topics(settings, [Topics("ioa").of(LEARNING)])
        assert (directory / "broker.pid").exists()
        assert (directory / "data" / "ioa.learning-0").is_dir()
        assert list_open(directory) == []
    for path in (directory, *directory.rglob("*")):
        path.chmod(path.stat().st_mode | 0o077)
    (directory / "mine.sh").touch(0o755)
    with EmbeddedBroker(directory):
        # What is not the broker's stays as it is.
        assert list_open(directory) == ["mine.sh"]

"""A batch that cannot be read: named, passed by other partitions, and skipped by one command."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream.archive.manifest import read_manifest
from stream.broker.embedded import EmbeddedBroker
from stream.dead_letters.reader import DeadLetterReader
from stream.exchange.exchanges import LEARNING, SERVICE, Exchange
from tests.support.broker import kill_broker
from tests.support.commands import Ran, run
from tests.support.damaged_batches import damage_batch
from tests.support.probe import Probe
from tests.support.questions import Questions, serving
from tests.support.server import RunningServer
from tests.support.topics import send_raw

BOMB = 110_000_000


@dataclass(frozen=True)
class Damage:
    """What is done to the second of four batches; ``bomb`` is sent instead of its records."""

    name: str
    place: int = 0
    content: bytes = b""
    compression: str = "none"
    bomb: bool = False


DAMAGES = [
    Damage("zstd-bomb", compression="zstd", bomb=True),
    Damage("sum", 90, b"\xff"),
    Damage("number-of-records", 57, b"\x7f"),
    Damage("compressed", 90, b"\x00\xff\x12\xff\x99", "lz4"),
    Damage("codec", 22, b"\x07"),
    Damage("magic", 16, b"\x07"),
    Damage("length", 8, b"\0\0\0\x05"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    kill_broker(broker)


def make_unreadable(questions: Questions, damage: Damage, folder: Path) -> None:
    """Send four batches to partition 0, the second with what ``damage`` says."""
    questions.send(1)
    if damage.bomb:
        send_raw(
            questions.kafka.bootstrap_servers,
            questions.topic,
            [(b"\0" * BOMB, [])],
            largest=2 * BOMB,
            compression=damage.compression,
        )
    else:
        questions.send(2, 3, 4, compression=damage.compression)
        damage_batch(folder, questions.topic, 1, damage.place, damage.content)
    questions.send(5)


def find_command(reason: str) -> list[str]:
    """Return the command that a reason names."""
    found = re.search(r"`ioa (server skip [^`]*)`", reason)
    assert found, reason
    return shlex.split(found[1])


def locate(server: RunningServer) -> list[str]:
    where = ["-b", server.kafka.bootstrap_servers, "--prefix", server.kafka.prefix]
    return [*where, "--database", server.settings.database_url]


def archive(server: RunningServer, folder: Path) -> Ran:
    return run("archive", "write", folder, *locate(server))


def check_archive_and_replays(server: RunningServer, folder: Path, printed: str) -> None:
    """Archive the topic, and replay it from there and from Kafka: all leave out the same."""
    written = archive(server, folder / "archive")
    assert written.returncode == 0, written.stderr
    (skipped,) = read_manifest(folder / "archive").skipped
    assert f"offsets {skipped.low} to {skipped.high - 1} are skipped" in printed
    digests = []
    for name, source in {"kafka": [], "archive": ["--archive", folder / "archive"]}.items():
        into = f"sqlite:///{folder / name}.db"
        replayed = run("replay", "run", "--into", into, "--json", *source, *locate(server))
        assert f"offsets {skipped.low} to {skipped.high - 1}" in replayed.stderr
        digests.append(json.loads(replayed.stdout)["digest"])
    assert digests[0] == digests[1]


def skip(server: RunningServer, reason: str) -> str:
    """Type the command that a reason names."""
    result = run(*find_command(reason), *locate(server))
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("exchange", [LEARNING, SERVICE], ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_one_command_skips_a_batch_that_cannot_be_read(
    broker: EmbeddedBroker, tmp_path: Path, damage: Damage, exchange: Exchange
) -> None:
    questions = Questions(broker.bootstrap_servers, f"{damage.name}-{exchange.name}", exchange)
    make_unreadable(questions, damage, broker.directory)
    with serving(questions, tmp_path) as server:
        probe: Probe = server.ingest if exchange is LEARNING else server.infer
        fault = probe.wait_for_fault(f"{questions.topic}[0]", 30)
        assert "cannot be read at offset 1:" in fault["reason"]
        questions.send(6, partition=1)
        questions.wait_for(1, 6, seconds=5)
        if exchange is LEARNING:
            refused = archive(server, tmp_path / "archive")
            assert (refused.returncode, "cannot be read at offset 1:" in refused.stderr) == (
                1,
                True,
            )
            assert find_command(refused.stderr) == find_command(fault["reason"])
        printed = skip(server, fault["reason"])
        skipped = [1] if damage.bomb else [1, 2, 3]
        if damage.name != "length":
            assert f"offsets 1 to {skipped[-1]} are skipped" in printed
            questions.wait_for(1, 5, 6, seconds=5)
        probe.wait_until_ready(5)
        if exchange is LEARNING:
            check_archive_and_replays(server, tmp_path, printed)
        (entry,) = DeadLetterReader(questions.kafka).scan().entries
        assert entry.dead_letter.origin[:3] == (questions.topic, 0, 1)
        assert f"offsets 1 to {skipped[-1]} " in entry.dead_letter.reason or damage.name == "length"

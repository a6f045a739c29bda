"""A batch that cannot be read: named, passed by other partitions, and skipped by one command."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.archive.manifest import read_manifest
from stream.broker.embedded import EmbeddedBroker
from stream.dead_letters.reader import DeadLetterReader
from stream.exchange.exchanges import LEARNING, SERVICE, Exchange
from tests.support.broker import kill_broker
from tests.support.commands import Ran, run
from tests.support.damaged_batches import DAMAGES, ENDLESS, Damage, send_unreadable
from tests.support.probe import Probe
from tests.support.questions import Questions, serving
from tests.support.server import RunningServer


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    kill_broker(broker)


def make_unreadable(questions: Questions, damage: Damage, folder: Path) -> int:
    """Send three batches to partition 0, of which the second cannot be read; return its end."""
    questions.send(1)
    bodies = [questions.make_body(number) for number in (2, 3, 4)]
    where = (questions.kafka.bootstrap_servers, folder, questions.topic)
    size = send_unreadable(*where, bodies, damage)
    questions.send(5)
    return 1 + size


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
@pytest.mark.parametrize("damage", [*DAMAGES, ENDLESS], ids=str)
def test_one_command_skips_a_batch_that_cannot_be_read(
    broker: EmbeddedBroker, tmp_path: Path, damage: Damage, exchange: Exchange
) -> None:
    questions = Questions(broker.bootstrap_servers, f"{damage}-{exchange.name}", exchange)
    end = make_unreadable(questions, damage, broker.directory)
    rest = [5]
    if damage is ENDLESS:
        end, rest = end + 1, []  # what comes behind it cannot be read either
    with serving(questions, tmp_path) as server:
        probe: Probe = server.ingest if exchange is LEARNING else server.infer
        fault = probe.wait_for_fault(f"{questions.topic}[0]", 30)
        assert "cannot be read at offset 1:" in fault["reason"]
        questions.send(6, partition=1)
        questions.wait_for(1, 6, seconds=5)
        if exchange is LEARNING:
            refused = archive(server, tmp_path / "archive")
            assert refused.returncode == 1
            assert find_command(refused.stderr) == find_command(fault["reason"])
        assert f"offsets 1 to {end - 1} are skipped" in skip(server, fault["reason"])
        questions.wait_for(1, *rest, 6, seconds=5)
        probe.wait_until_ready(5)
        again = skip(server, fault["reason"])
        assert f"offsets 1 to {end - 1} are skipped" in again
        if exchange is LEARNING:
            check_archive_and_replays(server, tmp_path, again)
        (entry,) = DeadLetterReader(questions.kafka).scan().entries
        assert entry.dead_letter.origin[:3] == (questions.topic, 0, 1)
        assert f"offsets 1 to {end - 1} were skipped unread: " in entry.dead_letter.reason


def test_what_can_be_read_is_not_skipped(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    questions = Questions(kafka, topic_prefix, LEARNING)
    questions.send(1)
    url = f"sqlite:///{tmp_path / 'ioa.db'}"
    where = ["-b", kafka, "--prefix", topic_prefix, "--database", url]
    command = ["server", "skip", "--topic", questions.topic]
    assert "there is no database" in run(*command, "--partition", 0, "--offset", 0, *where).stderr
    run("database", "upgrade", "--database", url)
    for partition, offset, reason in (
        (0, 0, "can be read at offset 0"),
        (0, 7, "cannot read"),
        (9, 0, "has no partition 9, only 0 to 3"),
    ):
        ran = run(*command, "--partition", partition, "--offset", offset, *where)
        assert (ran.returncode, reason in ran.stderr) == (1, True), ran.stderr
    assert DeadLetterReader(questions.kafka).scan().entries == []

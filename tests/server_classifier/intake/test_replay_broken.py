"""What breaks a replay in the middle: retention, a topic made again, a full disk."""

import sqlite3
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import event

from server_classifier.store.database import open_database
from server_classifier.store.errors import StoreUnavailable
from stream.archive.manifest import ArchiveError
from stream.archive.source import ArchiveSource
from stream.archive.writing import write_archive
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange
from stream.kafka.topics import create_topics
from stream.replay.window import Window
from tests.support.ingestion import Ingestion
from tests.support.replays import (
    Killed,
    Publisher,
    Replayer,
    count_rows,
    opened,
    read_in_pieces,
)
from tests.support.server import NOW
from tests.support.topics import delete_topics


def test_offsets_that_retention_has_deleted_are_named_and_an_archive_replaces_them(
    replayer: Replayer, other: str, tmp_path: Path
) -> None:
    live = replayer.live
    Publisher(live.kafka).publish(100)
    whole, _ = replayer.run(f"sqlite:///{tmp_path / 'whole.db'}")
    write_archive(tmp_path / "archive", replayer.open(), {}, now=NOW)
    write_archive(tmp_path / "short", replayer.open(Window(None, 10)), {}, now=NOW)
    ranges = replayer.open().ranges

    def delete_and_die(_: int) -> None:
        delete(live, [offsets._replace(low=offsets.high - 3) for offsets in ranges])
        raise Killed

    source = replayer.open()
    with pytest.raises(Killed):
        replayer.run(other, source, read=read_in_pieces(source, 10, delete_and_die))
    with pytest.raises(StreamError, match="some of that was deleted; Kafka holds"):
        replayer.run(other)
    with pytest.raises(ArchiveError, match=r"are wanted, and the archive .* has 0 to 9"):
        replayer.run(other, ArchiveSource(tmp_path / "short", Window()))
    row, _ = replayer.run(other, ArchiveSource(tmp_path / "archive", Window()))
    assert row.digest == whole.digest


def delete(live: Ingestion, ranges: list[OffsetRange]) -> None:
    """Delete what lies before the ranges, as retention does."""
    admin = AdminClient(live.kafka.client_config())
    ends = [TopicPartition(held.topic, held.partition, held.low) for held in ranges]
    for future in admin.delete_records(ends).values():
        future.result()


def make_again(live: Ingestion, rows: int) -> None:
    """Delete the topic, make it again, and write more into it than was there."""
    learning = Topics(live.kafka.prefix).of(LEARNING)
    delete_topics(live.kafka, [learning.name])
    create_topics(live.kafka, [learning])
    Publisher(live.kafka, seed=1).publish(rows)


@pytest.mark.parametrize("dies", [True, False])
def test_a_topic_made_again_never_becomes_a_finished_replay(
    replayer: Replayer, other: str, dies: bool
) -> None:
    """Also where nothing fails while it is read: librdkafka goes on in the new one."""
    Publisher(replayer.live.kafka).publish(100)

    def recreate(done: int) -> None:
        if done >= 10:
            make_again(replayer.live, 400)
            if dies:
                raise Killed

    source = replayer.open()
    with pytest.raises(Killed if dies else StreamError):
        replayer.run(other, source, read=read_in_pieces(source, 10, recreate))
    with pytest.raises(StreamError, match="was deleted and made again"):
        replayer.run(other)


def test_a_full_disk_keeps_what_was_stored_and_the_replay_goes_on(
    replayer: Replayer, other: str, tmp_path: Path
) -> None:
    Publisher(replayer.live.kafka).publish(2000)
    whole, _ = replayer.run(f"sqlite:///{tmp_path / 'whole.db'}")
    small = open_database(other)

    @event.listens_for(small, "connect")
    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 30")

    source = replayer.open()
    read = read_in_pieces(source, 100, lambda _: None)
    with pytest.raises(StoreUnavailable, match=r"the disk is full.*run the same command again"):
        replayer.run(small, source, read=read)
    small.dispose()
    with opened(other) as kept:
        assert 0 < count_rows(kept) < 2000
    row, report = replayer.run(other)
    assert (row.digest, report.stored) == (whole.digest, 2000)

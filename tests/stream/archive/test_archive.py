"""Archives of a topic on a real broker: what comes back is what lay there."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stream.archive import files as archive_files
from stream.archive.checking import verify_archive
from stream.archive.manifest import (
    MANIFEST,
    UNFINISHED,
    ArchivedRange,
    ArchiveError,
    read_manifest,
)
from stream.archive.source import ArchiveSource
from stream.archive.writing import write_archive
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.offsets import OffsetRange
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.replay.window import Window
from tests.support.archives import (
    KINDS,
    NOW,
    REGISTRY,
    list_files,
    number_bodies,
    open_kafka,
    read_archive,
    read_kafka,
    send,
    write,
)
from tests.support.damaged_headers import send_damaged_header
from tests.support.tmpfs import mount_tmpfs
from tests.support.topics import delete_records, delete_topics, make_topics


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return make_topics(kafka, topic_prefix)


@pytest.fixture
def learning(settings: KafkaSettings) -> str:
    return Topics(settings.prefix).of(LEARNING).name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_files, "GROUP_RECORDS", 3)
    monkeypatch.setattr(archive_files, "FILE_RECORDS", 10)


def test_every_kind_of_record_comes_back_byte_for_byte(
    settings: KafkaSettings, folder: Path
) -> None:
    send(settings, [*KINDS, *KINDS], partition=0)
    send(settings, KINDS[:3])
    written = write(folder, settings)
    found = read_archive(folder)
    assert found == read_kafka(settings)
    stored = [(record.key, record.value, record.headers) for record in found[0]]
    assert stored == [*KINDS, *KINDS, KINDS[0]]
    assert written.manifest.records == 11
    assert verify_archive(folder).findings == []


def test_a_damaged_header_name_is_noted(
    settings: KafkaSettings, learning: str, folder: Path
) -> None:
    send_damaged_header(settings.bootstrap_servers, learning)
    write(folder, settings)
    ((record,),) = read_archive(folder).values()
    assert (record.value, record.headers, record.headers_damaged) == (b"{}", [], True)


def test_the_manifest_says_which_topic_it_is(settings: KafkaSettings, folder: Path) -> None:
    send(settings, KINDS)
    write(folder, settings)
    kafka, source = open_kafka(settings), ArchiveSource(folder, Window())
    assert (source.cluster_id, source.topic) == (kafka.cluster_id, kafka.topic)
    assert source.ranges == kafka.ranges
    assert source.registry == REGISTRY


def test_others_may_not_read_it(settings: KafkaSettings, folder: Path) -> None:
    send(settings, KINDS)
    write(folder, settings)
    assert folder.stat().st_mode & 0o077 == 0
    assert [file.name for file in folder.iterdir() if file.stat().st_mode & 0o077] == []


@pytest.mark.usefixtures("small_files")
def test_what_came_later_is_added(settings: KafkaSettings, folder: Path) -> None:
    for count in (25, 1, 40):
        send(settings, list(number_bodies(count)))
        assert sum(file.records for file in write(folder, settings).files) == count
    manifest = read_manifest(folder)
    assert [file.records for file in manifest.files] == [12, 12, 1, 1, 12, 12, 12, 4]
    assert read_archive(folder) == read_kafka(settings)
    assert verify_archive(folder).findings == []


def test_without_anything_new_it_stays(settings: KafkaSettings, folder: Path) -> None:
    send(settings, KINDS)
    write(folder, settings)
    before = list_files(folder)
    assert write(folder, settings).files == []
    assert list_files(folder) == before


@pytest.mark.usefixtures("small_files")
def test_windows_hold_what_kafka_has_in_them(settings: KafkaSettings, folder: Path) -> None:
    for _ in range(3):
        send(settings, list(number_bodies(24)))
    write(folder, settings)
    times = sorted(record.timestamp for found in read_kafka(settings).values() for record in found)
    first, early, late = (
        datetime.fromtimestamp(times[at] / 1000, UTC) for at in (0, len(times) // 3, -10)
    )
    moment = timedelta(milliseconds=1)
    for window in (
        Window(3, 9),
        Window(None, 17),
        Window(17, None),
        Window(early, late),
        Window(early + moment, None),
        Window(None, late + moment),
        Window(2, late),
        Window(first, None),
    ):
        assert read_archive(folder, window) == read_kafka(settings, window), window


def test_an_archive_that_begins_at_a_time_has_all_from_then_on(
    settings: KafkaSettings, folder: Path
) -> None:
    send(settings, list(number_bodies(8)))
    (last,) = [max(record.timestamp for found in read_kafka(settings).values() for record in found)]
    since = datetime.fromtimestamp((last + 1) / 1000, UTC)
    send(settings, list(number_bodies(8)))
    window = Window(since, None)
    write_archive(folder, open_kafka(settings, window), REGISTRY, now=NOW, since=since)
    assert read_archive(folder, window) == read_kafka(settings, window)
    with pytest.raises(StreamError, match="records are missing, or may be"):
        read_archive(folder, Window(since - timedelta(hours=1), None))


def test_after_a_crash_between_two_renamings_it_goes_on(
    settings: KafkaSettings, folder: Path
) -> None:
    send(settings, list(number_bodies(8)))
    write(folder, settings)
    manifest = folder / MANIFEST
    before = manifest.read_bytes()
    held = read_archive(folder)
    send(settings, list(number_bodies(8)))
    write(folder, settings)
    manifest.rename(folder / f"{MANIFEST}{UNFINISHED}")
    manifest.write_bytes(before)
    assert verify_archive(folder).findings == []
    assert read_archive(folder) == held
    name = read_manifest(folder).files[0].name  # as if this renaming had not happened either
    (folder / name).rename(folder / f"{name}{UNFINISHED}")
    write(folder, settings)
    assert verify_archive(folder).findings == []
    assert read_archive(folder) == read_kafka(settings)


def test_a_reader_may_go_on_where_it_stopped(settings: KafkaSettings, folder: Path) -> None:
    send(settings, list(number_bodies(20)), partition=1)
    write(folder, settings)
    source = ArchiveSource(folder, Window())
    rest = [held._replace(low=min(held.high, 15)) for held in source.ranges]
    offsets = [record.offset for batch in source.read(rest) for record in batch]
    assert offsets == [15, 16, 17, 18, 19]


def test_a_window_outside_is_refused(settings: KafkaSettings, learning: str, folder: Path) -> None:
    send(settings, list(number_bodies(8)), partition=0)
    delete_records(settings.bootstrap_servers, learning, 8)
    send(settings, list(number_bodies(4)), partition=0)
    write(folder, settings)
    with pytest.raises(StreamError, match=r"it holds \[0\] offsets 8 to 11"):
        _ = ArchiveSource(folder, Window(5, None)).ranges
    with pytest.raises(StreamError, match="holds nothing from 500"):
        _ = ArchiveSource(folder, Window(500, None)).ranges


def test_a_gap_is_refused_or_noted(settings: KafkaSettings, learning: str, folder: Path) -> None:
    send(settings, list(number_bodies(5)), partition=0)
    write(folder, settings)
    before = list_files(folder)
    send(settings, list(number_bodies(5)), partition=0)
    delete_records(settings.bootstrap_servers, learning, 10)
    send(settings, list(number_bodies(5)), partition=0)
    with pytest.raises(ArchiveError, match="up to offset 5, and Kafka holds 10 and later"):
        write(folder, settings)
    assert list_files(folder) == before
    written = write(folder, settings, allow_gap=True)
    assert written.manifest.gaps == (ArchivedRange(0, 5, 10),)
    offsets = [record.offset for record in read_archive(folder)[0]]
    assert offsets == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert verify_archive(folder).findings == []
    assert ArchiveSource(folder, Window()).gaps == [ArchivedRange(0, 5, 10)]
    assert ArchiveSource(folder, Window(10, None)).gaps == []


def test_what_retention_took_before_the_first_write_is_no_gap(
    settings: KafkaSettings, learning: str, folder: Path
) -> None:
    send(settings, list(number_bodies(5)), partition=0)
    delete_records(settings.bootstrap_servers, learning, 5)
    send(settings, list(number_bodies(1)), partition=1)
    write(folder, settings)
    send(settings, list(number_bodies(2)), partition=0)
    assert write(folder, settings).manifest.gaps == ()
    assert [record.offset for record in read_archive(folder)[0]] == [5, 6]


def test_a_topic_that_was_made_again_is_refused(
    settings: KafkaSettings, learning: str, folder: Path
) -> None:
    send(settings, KINDS)
    write(folder, settings)
    before = list_files(folder)
    delete_topics(settings, [learning])
    create_topics(settings, [Topics(settings.prefix).of(LEARNING)])
    send(settings, KINDS)
    with pytest.raises(ArchiveError, match="deleted and made again"):
        write(folder, settings)
    assert list_files(folder) == before


def test_another_topic_is_refused(
    settings: KafkaSettings, kafka: str, topic_prefix: str, folder: Path
) -> None:
    send(settings, KINDS)
    write(folder, settings)
    other = make_topics(kafka, f"{topic_prefix}b")
    send(other, KINDS)
    with pytest.raises(ArchiveError, match=rf"is an archive of {topic_prefix}\.learning, not"):
        write(folder, other)


def test_of_an_empty_topic_nothing_is_made(settings: KafkaSettings, folder: Path) -> None:
    with pytest.raises(StreamError, match="no records"):
        write(folder, settings)
    assert not folder.exists()


def test_a_folder_of_something_else_stays(settings: KafkaSettings, folder: Path) -> None:
    send(settings, KINDS)
    folder.mkdir()
    (folder / "part-000001.parquet").write_bytes(b"of an archive that lost its manifest")
    before = list_files(folder)
    with pytest.raises(ArchiveError, match=r"holds part-000001\.parquet and no manifest\.json"):
        write(folder, settings)
    assert list_files(folder) == before


def test_two_writers_do_not_meet(settings: KafkaSettings, folder: Path) -> None:
    send(settings, KINDS)
    source = open_kafka(settings)
    refused = []

    def write_too(done: int, total: int) -> None:
        with pytest.raises(ArchiveError, match="another process writes"):
            write(folder, settings)
        refused.append(done)

    write_archive(folder, source, REGISTRY, now=NOW, on_progress=write_too)
    assert refused
    assert read_archive(folder) == read_kafka(settings)


def test_a_full_disk_leaves_what_was_there(settings: KafkaSettings, tmp_path: Path) -> None:
    folder = tmp_path / "disk" / "archive"
    with mount_tmpfs(tmp_path / "disk", 2) as resize:
        send(settings, KINDS)
        write(folder, settings)
        before = list_files(folder)
        random: list[Any] = [(None, bytes(body), []) for body in _make_noise(60, 100_000)]
        send(settings, random)
        with pytest.raises(ArchiveError, match="No space left on device"):
            write(folder, settings)
        assert list_files(folder) == before
        assert verify_archive(folder).findings == []
        resize(32)
        write(folder, settings)
        assert read_archive(folder) == read_kafka(settings)


def test_a_full_disk_leaves_no_new_folder(settings: KafkaSettings, tmp_path: Path) -> None:
    send(settings, [(None, bytes(body), []) for body in _make_noise(30, 100_000)])
    with mount_tmpfs(tmp_path / "disk", 1):
        with pytest.raises(ArchiveError, match="No space left on device"):
            write(tmp_path / "disk" / "archive", settings)
        assert list((tmp_path / "disk").iterdir()) == []


def _make_noise(count: int, size: int) -> list[bytes]:
    import random

    return [random.Random(seed).randbytes(size) for seed in range(count)]  # noqa: S311


KILLED = """
import os, signal, sys
from pathlib import Path
from stream.archive import files
from stream.archive.writing import write_archive
from stream.replay.kafka_source import KafkaSource
from stream.kafka.settings import KafkaSettings
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.replay.window import Window
from tests.support.archives import NOW

class Mortal(KafkaSource):
    def read(self, ranges):
        yield from super().read(ranges)
        os.kill(os.getpid(), signal.SIGKILL)

files.GROUP_RECORDS, files.FILE_RECORDS = 3, 10
settings = KafkaSettings(bootstrap_servers=sys.argv[1], prefix=sys.argv[2])
source = Mortal(settings, Topics(settings.prefix).of(LEARNING).name, Window())
write_archive(Path(sys.argv[3]), source, {}, now=NOW)
"""


@pytest.mark.parametrize("earlier", [0, 7])
def test_a_killed_writer_leaves_what_was_there(
    settings: KafkaSettings, folder: Path, earlier: int
) -> None:
    if earlier:
        send(settings, list(number_bodies(earlier)))
        write(folder, settings)
    before = list_files(folder) if earlier else {}
    send(settings, list(number_bodies(30)))
    arguments = (settings.bootstrap_servers, settings.prefix, folder)
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    after = list_files(folder)
    left = sorted(after.keys() - before.keys())
    assert [name.endswith(".parquet.unfinished") for name in left] == [True, True]
    assert {name: after[name] for name in before} == before
    if earlier:
        assert verify_archive(folder).findings == []
    assert write(folder, settings).removed == left
    assert read_archive(folder) == read_kafka(settings)
    assert verify_archive(folder).findings == []


def test_a_range_reaches_behind_kafkas_own_records(
    settings: KafkaSettings, learning: str, folder: Path
) -> None:
    """The end of a transaction takes an offset; what follows it is not missing anything."""
    from confluent_kafka import Producer

    config = {"bootstrap.servers": settings.bootstrap_servers, "transactional.id": learning}
    producer = Producer(config)
    producer.init_transactions(20)
    for _ in range(2):
        producer.begin_transaction()
        producer.produce(learning, b"sent again", partition=2)
        producer.commit_transaction(20)
        write(folder, settings)
    source = ArchiveSource(folder, Window())
    assert source.ranges[2] == OffsetRange(learning, 2, source.ranges[2].log_id, 0, 4)
    assert [record.offset for record in read_archive(folder)[2]] == [0, 2]
    assert write(folder, settings).files == []
    assert verify_archive(folder).findings == []

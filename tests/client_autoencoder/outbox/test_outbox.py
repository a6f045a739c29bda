"""Records on the disk: their states, counts and limits, and what happens when a process ends."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from client_autoencoder.errors import OutboxError, OutboxFull, OutboxInUse
from client_autoencoder.outbox.entries import Limits, Outcome
from client_autoencoder.outbox.outbox import Outbox
from client_autoencoder.outbox.reading import read_status
from stream.exchange.outgoing_record import OutgoingRecord
from tests.support.outgoing_records import make_records

ROOM = 2**20


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox" / "radiology-1.db"


def open_outbox(path: Path, clock: Clock, limits: Limits | None = None) -> Outbox:
    return Outbox(path, owner="radiology-1", limits=limits or Limits(resend=30.0), clock=clock)


@pytest.fixture
def outbox(path: Path, clock: Clock) -> Iterator[Outbox]:
    with open_outbox(path, clock) as opened:
        yield opened


def put(outbox: Outbox, count: int) -> list[OutgoingRecord]:
    records = make_records(count)
    outbox.put(records, [f"{number}.png" for number in range(count)])
    return records


def ids(records: list[OutgoingRecord]) -> list[str]:
    return [record.message_id for record in records]


def test_a_record_comes_back_byte_for_byte_and_in_order(outbox: Outbox) -> None:
    odd = OutgoingRecord(
        "a",
        "consultation",
        "t",
        b"\x00\xff",
        [("x", None), ("y", bytes(range(256)))],
        b"\xff\x00",
        5.0,
    )
    records = [odd, *put(outbox, 0), *make_records(3)]
    outbox.put(records, ["one", "two", "three", "four"])
    assert [entry.record for entry in outbox.read_queued(0, 10, ROOM)] == records
    assert [entry.record for entry in outbox.read_queued(2, 1, ROOM)] == records[2:3]


def test_what_is_read_at_once_is_bounded_by_its_bytes(outbox: Outbox) -> None:
    records = make_records(10, size=1000)
    outbox.put(records, ["x"] * 10)
    assert len(outbox.read_queued(0, 10, 2500)) == 3


def test_a_record_is_delivered_once_and_due_again_later_and_later(
    outbox: Outbox, clock: Clock
) -> None:
    (record,) = put(outbox, 1)
    assert outbox.update([record.message_id], []).delivered == 1
    assert outbox.read_queued(0, 10, ROOM) == []
    for wait in (30.0, 60.0, 120.0):
        clock.now += wait - 0.1
        assert outbox.read_overdue(10, ROOM) == []
        clock.now += 0.1
        assert [entry.record for entry in outbox.read_overdue(10, ROOM)] == [record]
        assert outbox.update([record.message_id], []).delivered == 0


def test_an_answer_settles_a_record_whatever_its_state(outbox: Outbox, path: Path) -> None:
    first, second, third = ids(put(outbox, 3))
    outbox.update([first], [])
    update = outbox.update(
        [],
        [
            Outcome(second, "refused", "label: unknown"),
            Outcome(first, "acknowledged"),
            Outcome("of another process", "acknowledged"),
        ],
    )
    assert [(record.number, record.name, record.outcome.kind) for record in update.settled] == [
        (1, "0.png", "acknowledged"),
        (2, "1.png", "refused"),
    ]
    assert (outbox.counts.queued, outbox.counts.delivered) == (1, 0)
    # The report of a delivery may come after the answer.
    assert outbox.update([first, third], []).delivered == 1
    status = read_status(path)
    assert (status.encoded, status.acknowledged, status.refused) == (3, 1, 1)
    assert (status.queued, status.delivered) == (0, 1)
    (refusal,) = status.refusals
    assert (refusal.message_id, refusal.name, refusal.reason) == (second, "1.png", "label: unknown")


def test_a_question_is_ended_by_a_reply_and_what_is_learned_from_by_an_acknowledgement(
    outbox: Outbox, clock: Clock
) -> None:
    learning = make_records(2)
    questions = make_records(2, kind="service")
    outbox.put([*learning, *questions], ["a", "b", "c", "d"])
    replies = [
        Outcome(message_id, "answered", by="reply") for message_id in ids(learning + questions[:1])
    ]
    stored = [
        Outcome(message_id, "acknowledged", by="acknowledgement")
        for message_id in ids(learning[:1] + questions)
    ]
    update = outbox.update([], replies + stored)
    assert [(record.name, record.outcome.kind) for record in update.settled] == [
        ("a", "acknowledged"),
        ("c", "answered"),
    ]
    assert [entry.record for entry in outbox.read_queued(0, 10, ROOM)] == [
        learning[1],
        questions[1],
    ]


def test_numbers_are_never_used_again(outbox: Outbox) -> None:
    records = put(outbox, 3)
    outbox.update([], [Outcome(message_id, "acknowledged") for message_id in ids(records)])
    assert (outbox.counts.waiting, outbox.counts.size) == (0, 0)
    before = outbox.last_number
    put(outbox, 1)
    assert [entry.number for entry in outbox.read_queued(before, 10, ROOM)] == [before + 1]


def test_records_past_their_deadline_expire_and_are_counted(
    outbox: Outbox, clock: Clock, path: Path
) -> None:
    outbox.put(make_records(2, kind="service", deadline=clock.now + 5), ["a", "b"])
    put(outbox, 1)
    assert outbox.expire() == []
    clock.now += 5
    assert [record.name for record in outbox.expire()] == ["a", "b"]
    status = read_status(path)
    assert (status.expired, status.queued) == (2, 1)


def test_discarded_records_are_counted(outbox: Outbox, path: Path) -> None:
    first, *_ = ids(put(outbox, 3))
    assert [record.name for record in outbox.discard([first, "unknown"])] == ["0.png"]
    assert len(outbox.discard()) == 2
    assert (outbox.counts.waiting, outbox.counts.size) == (0, 0)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM body").fetchone() == (0,)
    assert read_status(path).discarded == 3


def test_everything_is_there_after_the_file_was_closed(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock) as outbox:
        records = put(outbox, 5)
        outbox.update(ids(records[:2]), [])
        before = outbox.counts
    with open_outbox(path, clock) as outbox:
        assert outbox.counts == before
        assert [entry.record for entry in outbox.read_queued(0, 10, ROOM)] == records[2:]
        assert outbox.find_first_sent() == clock.now


def test_a_full_outbox_refuses_all_of_a_batch_and_says_what_to_do(path: Path, clock: Clock) -> None:
    records = make_records(10)
    room = sum(record.size for record in records) - 1
    with open_outbox(path, clock, Limits(size=room)) as outbox:
        with pytest.raises(OutboxFull, match=r"bytes are permitted.*client\.outbox_mib"):
            outbox.put(records, ["x"] * 10)
        assert outbox.counts.waiting == 0
        outbox.put(records[:9], ["x"] * 9)
        with pytest.raises(OutboxFull, match="9 messages"):
            outbox.put(records[9:], ["x"])
        outbox.update([], [Outcome(records[0].message_id, "acknowledged")])
        outbox.put(records[9:], ["x"])
        assert outbox.counts.waiting == 9


def test_a_record_that_waits_too_long_stops_further_ones(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock, Limits(age=2 * 86400)) as outbox:
        (record,) = put(outbox, 1)
        clock.now += 3 * 86400
        with pytest.raises(OutboxFull, match=r"for 3\.0 days, 2 are permitted"):
            put(outbox, 1)
        outbox.update([], [Outcome(record.message_id, "acknowledged")])
        put(outbox, 1)


def test_a_clock_set_back_does_not_keep_a_record_for_years(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock) as outbox:
        outbox.update(ids(put(outbox, 1)), [])
    clock.now -= 10 * 365 * 86400
    with open_outbox(path, clock) as outbox:
        clock.now += 3600
        assert len(outbox.read_overdue(10, ROOM)) == 1


def test_a_second_process_is_told_file_and_process(outbox: Outbox, path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from client_autoencoder.outbox.entries import Limits\n"
        "from client_autoencoder.outbox.outbox import Outbox\n"
        "Outbox(Path(sys.argv[1]), owner='radiology-1', limits=Limits(), clock=time.time)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    (last,) = run.stderr.splitlines()[-1:]
    assert last.startswith(f"{OutboxInUse.__module__}.OutboxInUse: outbox {path} is in use by")
    outbox.close()
    again = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert again.returncode == 0


def test_the_holder_is_named(outbox: Outbox, path: Path, clock: Clock) -> None:
    with pytest.raises(OutboxInUse, match=f"in use by process {os.getpid()}: wait"):
        open_outbox(path, clock)


def test_messages_of_another_deployment_are_not_sent(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock) as outbox:
        records = put(outbox, 1)
    with pytest.raises(OutboxError, match="holds 1 messages of radiology-1, this is other: drain"):
        Outbox(path, owner="other", limits=Limits(), clock=clock)
    with open_outbox(path, clock) as outbox:
        outbox.update([], [Outcome(records[0].message_id, "acknowledged")])
    Outbox(path, owner="other", limits=Limits(), clock=clock).close()


def test_records_for_one_cluster_are_not_for_another(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock) as outbox:
        records = put(outbox, 1)
        outbox.bind("first")
    with open_outbox(path, clock) as outbox:
        outbox.bind("first")
        with pytest.raises(OutboxError, match=r"1 messages for Kafka cluster first.*is second"):
            outbox.bind("second")
        outbox.update([], [Outcome(records[0].message_id, "acknowledged")])
        outbox.bind("second")


def test_expired_records_hold_no_owner_and_no_cluster(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock) as outbox:
        outbox.put(make_records(1, kind="service", deadline=clock.now + 5), ["a"])
        outbox.bind("first")
    clock.now += 15
    with Outbox(path, owner="other", limits=Limits(), clock=clock) as outbox:
        assert outbox.counts.waiting == 0
        outbox.put(make_records(1, kind="service", deadline=clock.now + 5), ["b"])
        outbox.bind("second")
        clock.now += 5
        assert [record.name for record in outbox.expire()] == ["a", "b"]
        assert outbox.expire() == []
    assert read_status(path).expired == 2


@pytest.mark.parametrize("where", [0, 30, 4096])
def test_a_damaged_file_is_named_and_left_alone(path: Path, clock: Clock, where: int) -> None:
    with open_outbox(path, clock) as outbox:
        put(outbox, 50)
    damaged = bytearray(path.read_bytes())
    damaged[where : where + 3000] = b"\xa5" * 3000
    path.write_bytes(damaged)
    with pytest.raises(OutboxError, match=rf"{path}.*(damaged|version|is no outbox)"):
        open_outbox(path, clock)
    assert path.read_bytes() == damaged
    with pytest.raises(OutboxError, match=str(path)):
        read_status(path)


def test_a_file_that_is_something_else_is_no_outbox(path: Path, clock: Clock) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE patients (name TEXT)")
    other.close()
    with pytest.raises(OutboxError, match="is no outbox"):
        open_outbox(path, clock)
    path.write_text("not a database, but long enough to be one" * 50)
    with pytest.raises(OutboxError, match="is damaged"):
        open_outbox(path, clock)


def test_a_file_of_another_version_is_not_touched(path: Path, clock: Clock) -> None:
    with open_outbox(path, clock):
        pass
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 7")
    raw.close()
    with pytest.raises(
        OutboxError, match="is of version 7, made by a newer program; this one reads 2 to 3"
    ):
        open_outbox(path, clock)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match=r"file/sub for the outbox cannot be made.*--outbox"):
        open_outbox(tmp_path / "file" / "sub" / "a.db", clock)


def test_a_status_without_an_outbox_says_so(path: Path) -> None:
    with pytest.raises(OutboxError, match="there is no outbox"):
        read_status(path)


def test_a_full_disk_takes_nothing_new_and_keeps_what_was_there(
    outbox: Outbox, path: Path, clock: Clock
) -> None:
    records = put(outbox, 5)
    # The limit of SQLite itself: the same error as a disk without room.
    limit_pages(outbox, 1)
    with pytest.raises(OutboxFull, match=r"disk of outbox .* is full"):
        outbox.put(make_records(200, size=1000), ["x"] * 200)
    assert outbox.counts.queued == 5
    limit_pages(outbox, 1_000_000)
    put(outbox, 1)
    outbox.close()
    with open_outbox(path, clock) as again:
        assert [entry.record for entry in again.read_queued(0, 10, ROOM)][:5] == records
        assert again.counts.queued == 6
        assert read_status(path).encoded == 6


def limit_pages(outbox: Outbox, pages: int) -> None:
    """Let the file grow to so many pages at most; it never shrinks."""
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")  # noqa: SLF001

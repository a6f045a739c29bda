"""Looking at dead letters and sending them again, on a real broker."""

import re
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from schemas.errors import SchemaError
from schemas.messages import headers as names
from schemas.messages.dead_letter import DeadLetter
from stream.dead_letters.reader import DeadLetterReader, Position
from stream.dead_letters.retry import DeadLetterRetry
from stream.errors import DeliveryFailed, StreamError, TopicMissing
from stream.exchange.codec import find_first_offset, identify_sender
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from tests.support.dead_letters import make_dead_letter, publish_dead_letters, read_topic
from tests.support.topics import delete_records, delete_topics, make_topics, send_raw

NOW = 1_760_000_000.0


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return make_topics(kafka, topic_prefix)


@pytest.fixture
def learning(settings: KafkaSettings) -> str:
    return Topics(settings.prefix).of(LEARNING).name


@pytest.fixture
def dead_letters(settings: KafkaSettings) -> str:
    return Topics(settings.prefix).dead_letters.name


def begin_retry(settings: KafkaSettings) -> DeadLetterRetry:
    return DeadLetterRetry(settings, lambda: NOW)


def at(*offsets: int) -> list[Position]:
    return [Position(0, offset) for offset in offsets]


def test_a_scan_tells_everything_but_the_bodies(settings: KafkaSettings) -> None:
    letters = [
        make_dead_letter(settings, 7),
        make_dead_letter(settings, 8, field=None, headers=[], value=b""),
    ]
    publish_dead_letters(settings, letters)
    scan = DeadLetterReader(settings).scan()
    without_bodies = [replace(letter, value=None) for letter in letters]
    assert [entry.dead_letter for entry in scan.entries] == without_bodies
    assert [entry.position for entry in scan.entries] == at(0, 1)
    first, second = scan.entries
    assert (first.client_id, first.size) == ("radiology-1", 6)
    assert (second.client_id, second.size) == (None, 0)


def test_a_client_written_from_the_paper_is_found_in_the_body(settings: KafkaSettings) -> None:
    body = b'{"message": {"clientID": "app2"}}'
    publish_dead_letters(settings, [make_dead_letter(settings, headers=[], value=body)])
    assert DeadLetterReader(settings).scan().entries[0].client_id == "app2"


def test_reading_brings_the_bodies_of_those_that_are_wanted(settings: KafkaSettings) -> None:
    letters = [make_dead_letter(settings, number, value=b"%d" % number) for number in range(4)]
    publish_dead_letters(settings, letters)
    found = list(DeadLetterReader(settings).read(at(1, 3)))
    assert [entry.dead_letter for entry in found] == [letters[1], letters[3]]


def test_what_is_no_dead_letter_is_told_apart(settings: KafkaSettings, dead_letters: str) -> None:
    letter = make_dead_letter(settings)
    damaged = [*letter.to_headers()[:-1], (names.ORIGIN_TIMESTAMP, b"yesterday")]
    values = [(b"x", []), (b"x", damaged), (b"x", letter.to_headers())]
    send_raw(settings.bootstrap_servers, dead_letters, values)  # type: ignore[arg-type]
    scan = DeadLetterReader(settings).scan()
    assert sorted(scan.damaged) == at(0, 1)
    assert [entry.position for entry in scan.entries] == at(2)
    report = begin_retry(settings).send(at(0))
    assert (report.sent, [*report.refused]) == ([], at(0))
    assert "is no dead letter: the last headers are not" in report.refused[Position(0, 0)]


def test_a_stub_is_told_and_not_sent_again(settings: KafkaSettings, learning: str) -> None:
    letter = make_dead_letter(settings, 7, reason="has " + "9" * 5000, value=b"x" * 1000)
    publish_dead_letters(settings, [letter.to_stub()])
    (entry,) = DeadLetterReader(settings).scan().entries
    assert entry.dead_letter == letter.to_stub()
    assert (entry.size, entry.client_id, entry.message_id) == (1000, None, None)
    assert len(entry.dead_letter.reason) == 2000
    report = begin_retry(settings).send(at(0), force=True)
    reason = "is a stub: the record's 1,000 bytes were too large to be kept here"
    assert (report.sent, report.refused) == ([], {Position(0, 0): reason})
    assert read_topic(settings, learning) == []


def test_a_client_cannot_make_a_stub(settings: KafkaSettings) -> None:
    forged: list[tuple[str, bytes | None]] = [(names.STUB_SIZE, b"1"), (names.STUB_SHA256, b"0")]
    publish_dead_letters(settings, [make_dead_letter(settings, headers=forged)])
    assert begin_retry(settings).send(at(0)).sent == at(0)


@pytest.mark.parametrize("size", [b"many", b"", None, b"\xff", b"9" * 5000])
def test_a_damaged_stub_is_told_apart(settings: KafkaSettings, size: bytes | None) -> None:
    stub = make_dead_letter(settings).to_stub().to_headers()
    stub[-2] = (names.STUB_SIZE, size)
    with pytest.raises(SchemaError, match="the headers of a stub are damaged"):
        DeadLetter.from_headers(None, None, stub)


def test_a_missing_topic_is_named(settings: KafkaSettings) -> None:
    elsewhere = settings.model_copy(update={"prefix": "nobody"})
    with pytest.raises(TopicMissing, match=r"nobody\.dead-letters"):
        DeadLetterReader(elsewhere)


@pytest.mark.parametrize("text", ["", "41", "0:", ":1", "a:1", "0:-1", "0:1:2"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(StreamError, match="no position such as 0:41"):
        Position.parse(text)


def test_the_original_bytes_key_and_headers_go_to_where_they_came_from(
    settings: KafkaSettings, learning: str
) -> None:
    letter = make_dead_letter(settings, 7)
    publish_dead_letters(settings, [letter])
    report = begin_retry(settings).send(at(0))
    assert (report.sent, report.refused) == (at(0), {})
    (record,) = read_topic(settings, learning)
    assert (record.key, record.value, record.partition) == (letter.key, letter.value, 2)
    assert record.headers == [(names.FIRST_OFFSET, b"7"), *letter.headers]


def test_a_dead_letter_is_sent_again_once(settings: KafkaSettings, learning: str) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings, 1), make_dead_letter(settings, 2)])
    assert begin_retry(settings).send(at(0)).sent == at(0)
    retry = begin_retry(settings)
    assert [entry.position for entry in retry.find_unsent()] == at(1)
    report = retry.send(at(0, 1))
    assert (report.sent, report.refused) == (at(1), {Position(0, 0): "was sent again already"})
    assert len(read_topic(settings, learning)) == 2
    assert begin_retry(settings).send(at(0), force=True).sent == at(0)
    assert len(read_topic(settings, learning)) == 3


def test_of_two_dead_letters_of_one_record_one_is_sent(
    settings: KafkaSettings, learning: str
) -> None:
    """As after a crash between the dead letter and the commit after it."""
    publish_dead_letters(settings, [make_dead_letter(settings, 1), make_dead_letter(settings, 1)])
    retry = begin_retry(settings)
    assert len(retry.find_unsent()) == 1
    report = retry.send(at(0, 1))
    assert (report.sent, [*report.refused]) == (at(0), at(1))
    assert len(read_topic(settings, learning)) == 1


def test_a_topic_that_was_made_again_has_other_records(settings: KafkaSettings) -> None:
    publish_dead_letters(
        settings, [make_dead_letter(settings, 1), make_dead_letter(settings, 1, origin_timestamp=5)]
    )
    assert begin_retry(settings).send(at(0, 1)).sent == at(0, 1)


def test_what_fails_again_is_a_new_dead_letter_with_the_first_identity(
    settings: KafkaSettings, learning: str
) -> None:
    first = make_dead_letter(settings, 1, origin_partition=0, headers=[])
    publish_dead_letters(settings, [first])
    send_raw(settings.bootstrap_servers, learning, [(b"other", [])] * 5)
    begin_retry(settings).send(at(0))
    (again,) = (record for record in read_topic(settings, learning) if record.value == first.value)
    second = replace(first, origin_offset=again.offset, headers=again.headers)
    publish_dead_letters(settings, [second])
    retry = begin_retry(settings)
    (unsent,) = retry.find_unsent()
    retry.send([unsent.position])
    *_, last = read_topic(settings, learning)
    assert last.headers == [(names.FIRST_OFFSET, b"1")]
    original = Record(learning, 0, 1, 0, first.key, first.value, [])
    assert identify_sender(last, "c").message_id == identify_sender(original, "c").message_id


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(b"3", 3), (b"0", 0), (b"10", 10), (b"11", 10), (b"9" * 40, 10), (b"-1", 10), (b"", 10)],
)
def test_only_an_earlier_offset_counts_as_the_first(stated: bytes, expected: int) -> None:
    record = Record("t", 0, 10, 0, None, b"", [(names.FIRST_OFFSET, stated)])
    assert find_first_offset(record) == expected


def test_nobody_takes_the_id_of_an_older_message() -> None:
    victim = Record("t", 0, 3, 0, None, b"{}", [])
    forged = Record("t", 0, 10, 0, None, b"{ }", [(names.FIRST_OFFSET, b"3")])
    assert identify_sender(victim, "c").message_id != identify_sender(forged, "c").message_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"origin_topic": "somewhere-else"}, "only .*learning and .*service are written to"),
        ({"origin_partition": 99}, "a partition that is not there any more"),
        ({"origin_partition": -1}, "a partition that is not there any more"),
    ],
)
def test_a_forged_dead_letter_makes_us_write_nowhere(
    settings: KafkaSettings, changes: dict[str, Any], reason: str
) -> None:
    publish_dead_letters(
        settings, [make_dead_letter(settings, **changes), make_dead_letter(settings, 5)]
    )
    report = begin_retry(settings).send(at(0, 1))
    assert report.sent == at(1), "the other one is sent"
    assert [*report.refused] == at(0)
    assert re.search(reason, report.refused[Position(0, 0)])


def test_own_topics_that_clients_do_not_write_are_no_target(
    settings: KafkaSettings, dead_letters: str
) -> None:
    publish_dead_letters(
        settings, [make_dead_letter(settings, origin_topic=dead_letters, origin_partition=0)]
    )
    assert begin_retry(settings).send(at(0)).sent == []
    assert len(read_topic(settings, dead_letters)) == 1


@pytest.mark.parametrize(("milliseconds", "sent"), [(-1, 0), (1, 1)])
def test_a_question_is_sent_while_somebody_waits(
    settings: KafkaSettings, milliseconds: int, sent: int
) -> None:
    service = Topics(settings.prefix).of(SERVICE).name
    deadline = str(int(NOW * 1000) + milliseconds).encode()
    headers = [(names.DEADLINE, deadline)]
    publish_dead_letters(
        settings, [make_dead_letter(settings, origin_topic=service, headers=headers)]
    )
    begin_retry(settings).send(at(0))
    assert len(read_topic(settings, service)) == sent


def test_what_is_not_there_is_said_with_what_is(settings: KafkaSettings, dead_letters: str) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings, number) for number in range(3)])
    delete_records(settings.bootstrap_servers, dead_letters, 3)
    publish_dead_letters(settings, [make_dead_letter(settings, 3)])
    begin_retry(settings).send(at(3))
    report = begin_retry(settings).send([*at(1, 4, 99), Position(7, 0)])
    assert report.refused[Position(0, 1)].startswith("is not there; the topic holds 0:3 to 0:")
    assert "was sent again" in report.refused[Position(0, 4)]
    assert "is not there" in report.refused[Position(0, 99)]
    assert "is not there" in report.refused[Position(7, 0)]


def test_a_retry_that_began_earlier_sends_nothing(settings: KafkaSettings, learning: str) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings)])
    slow, fast = begin_retry(settings), begin_retry(settings)
    assert fast.send(at(0)).sent == at(0)
    with pytest.raises(DeliveryFailed, match=r"sending stopped before 0:0 .* somebody else"):
        slow.send(at(0))
    assert len(read_topic(settings, learning)) == 1


def test_only_a_fenced_retry_asks_about_another_operator(
    settings: KafkaSettings, learning: str
) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings)])
    retry = begin_retry(settings)
    delete_topics(settings, [learning])
    with pytest.raises(DeliveryFailed, match="sending stopped before 0:0") as raised:
        retry.send(at(0))
    assert "somebody else" not in str(raised.value)


KILLED = """
import os, signal, sys
from stream.dead_letters.reader import Position
from stream.dead_letters.retry import DeadLetterRetry
from stream.dead_letters.sender import DeadLetterSender
from stream.kafka.settings import KafkaSettings

def send_and_die(self, batch):
    self._producer.begin_transaction()
    for entry in batch:
        self._produce(entry, {})
    self._producer.flush()
    os.kill(os.getpid(), signal.SIGKILL)

DeadLetterSender.send = send_and_die
settings = KafkaSettings(bootstrap_servers=sys.argv[1], prefix=sys.argv[2])
DeadLetterRetry(settings, lambda: 0.0).send([Position(0, 0)])
"""


def test_killed_half_way_it_is_sent_once_by_the_next(
    settings: KafkaSettings, learning: str
) -> None:
    """Record and note have reached the broker, but their transaction was not committed."""
    publish_dead_letters(settings, [make_dead_letter(settings)])
    command = [sys.executable, "-c", KILLED, settings.bootstrap_servers, settings.prefix]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert DeadLetterReader(settings).scan().notes == {}, "what is not committed is not read"
    retry = begin_retry(settings)
    assert [entry.position for entry in retry.find_unsent()] == at(0)
    assert retry.send(at(0)).sent == at(0)
    assert len(read_topic(settings, learning)) == 1
    assert begin_retry(settings).find_unsent() == []

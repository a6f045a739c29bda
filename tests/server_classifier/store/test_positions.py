from datetime import timedelta

import pytest
from sqlalchemy import Engine

from server_classifier.intake.positions import HeldPositions
from server_classifier.store.database import reading, writing
from server_classifier.store.errors import PositionError, PositionLost
from server_classifier.store.latents.rows import count_latents, insert_latents
from server_classifier.store.positions import (
    Position,
    list_positions,
    move_position,
    reset_position,
    take_position,
)
from stream.kafka.offsets import OffsetRange
from tests.server_classifier.stored import NOW, make_row

OFFSETS = OffsetRange("ioa.learning", 2, "topic-id-1", low=10, high=500)


def take(engine: Engine, offset_range: OffsetRange = OFFSETS, owner: str = "first") -> Position:
    with writing(engine) as connection:
        return take_position(connection, offset_range, owner=owner)


def hold(engine: Engine) -> HeldPositions:
    return HeldPositions(engine, owner="second", now=lambda: NOW)


def move(engine: Engine, held: Position, to: int) -> Position:
    with writing(engine) as connection:
        moved = move_position(connection, held, to, now=NOW)
        insert_latents(connection, [make_row(number) for number in range(held.next_offset, to)])
        return moved


def count_rows(engine: Engine) -> int:
    with reading(engine) as connection:
        return count_latents(connection)


def test_the_first_start_begins_at_the_low_watermark_and_keeps_it(engine: Engine) -> None:
    assert take(engine).next_offset == 10
    assert take(engine, OFFSETS._replace(low=5)).next_offset == 10
    with reading(engine) as connection:
        (row,) = list_positions(connection)
    assert row[:6] == ("ioa.learning", 2, "topic-id-1", 10, "first", 2)


def test_position_and_rows_move_together(engine: Engine) -> None:
    held = move(engine, take(engine), 13)
    assert (held.next_offset, held.moved_at) == (13, NOW)
    assert take(engine) == held._replace(epoch=2)
    assert count_rows(engine) == 3


def test_who_was_taken_over_from_stores_nothing(engine: Engine) -> None:
    held = move(engine, take(engine), 13)
    take(engine, owner="second")
    with pytest.raises(PositionLost, match="was taken over by second, which has read it up to 13"):
        move(engine, held, 20)
    assert count_rows(engine) == 3


def test_a_commit_of_unknown_outcome_may_be_repeated(engine: Engine) -> None:
    held = take(engine)
    assert move(engine, held, 13) == move(engine, held, 13)
    assert count_rows(engine) == 3


def test_a_position_that_an_operator_moved_fences_the_reader(engine: Engine) -> None:
    held = take(engine)
    with writing(engine) as connection:
        reset_position(connection, OFFSETS, 10, owner="operator", now=NOW)
    with pytest.raises(PositionLost, match="taken over by operator"):
        move(engine, held, 13)


def test_a_position_beside_the_one_expected_fences_the_reader(engine: Engine) -> None:
    held = take(engine)
    move(engine, held, 13)
    with pytest.raises(PositionLost):
        move(engine, held, 20)


@pytest.mark.parametrize(
    ("offset_range", "reason"),
    [
        pytest.param(
            OFFSETS._replace(log_id="topic-id-2", low=0, high=3),
            r"this is another topic of that name \(id topic-id-2, not topic-id-1\): it was "
            r"deleted and made again, and holds offsets 0 to 3",
            id="made again",
        ),
        pytest.param(
            OFFSETS._replace(low=20),
            "Kafka has only offsets from 20: 7 records were deleted unread",
            id="cut",
        ),
        pytest.param(
            OFFSETS._replace(high=12),
            "Kafka holds only offsets 10 to 12: it lost the rest",
            id="ends before",
        ),
    ],
)
def test_a_position_that_kafka_does_not_hold_is_an_error(
    engine: Engine, offset_range: OffsetRange, reason: str
) -> None:
    held = move(engine, take(engine), 13)
    with pytest.raises(PositionError, match=reason) as raised:
        hold(engine).take([offset_range], lambda: [offset_range])
    text = str(raised.value)
    assert text.startswith("ioa.learning[2] was read up to offset 13, but ")
    assert "`ioa database position reset --topic ioa.learning --partition 2 --to earliest`" in text
    with reading(engine) as connection:
        assert [row.next_offset for row in list_positions(connection)] == [held.next_offset]
    with writing(engine) as connection:
        reset_position(connection, offset_range, offset_range.high, owner="operator", now=NOW)
    assert take(engine, offset_range).next_offset == offset_range.high


def test_what_another_has_read_since_kafka_was_asked_is_not_lost(engine: Engine) -> None:
    move(engine, take(engine), 13)
    asked_before = OFFSETS._replace(high=12)
    assert hold(engine).take([asked_before], lambda: [OFFSETS]) == {2: 13}
    with pytest.raises(PositionError, match="it lost the rest"):
        hold(engine).take([asked_before])


@pytest.mark.parametrize("to", [9, 501])
def test_a_reset_to_what_kafka_does_not_hold_is_refused(engine: Engine, to: int) -> None:
    with (
        pytest.raises(PositionError, match=f"holds offsets 10 to 500; {to} is outside"),
        writing(engine) as connection,
    ):
        reset_position(connection, OFFSETS, to, owner="operator", now=NOW + timedelta(1))

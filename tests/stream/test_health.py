"""The rules of readiness, with a clock that is set by hand."""

from dataclasses import dataclass

import pytest

from stream.health import LONGEST_SILENCE_SECONDS, PATIENCE_SECONDS, Fault, Health

PART = ("ioa.learning", 0)


@dataclass
class Clock:
    time: float = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """A consumer that has read all there was, ten records."""
    health = Health(clock)
    health.begin({PART: 0})
    health.finish_batch({PART: 10})
    health.see_ends({PART: 10})
    return health


def blamed(health: Health) -> list[str]:
    return [fault.what for fault in health.find_faults()]


def test_a_service_is_not_ready_before_it_begins(clock: Clock) -> None:
    health = Health(clock)
    clock.time += 3
    [fault] = health.find_faults()
    assert (fault.what, fault.seconds) == ("start", 3)
    health.begin()
    assert health.find_faults() == []


def test_a_rebalance_takes_readiness_away_until_partitions_are_back(health: Health) -> None:
    health.prepare()
    assert blamed(health) == ["start"]
    health.begin({PART: 10})
    assert blamed(health) == []


def test_a_wait_is_told_with_its_reason_and_since_it_began(clock: Clock, health: Health) -> None:
    health.wait_for("database", "is locked")
    clock.time += 4
    health.wait_for("database", "does not answer")
    clock.time += 2
    assert health.find_faults() == [Fault("database", "does not answer", 6)]
    assert health.condition.waits == {"database": 1}
    health.mark_recovered()
    assert blamed(health) == []
    health.wait_for("database", "is locked")
    assert health.condition.waits == {"database": 2}


def test_another_dependency_begins_another_wait(clock: Clock, health: Health) -> None:
    health.wait_for("database", "is locked")
    clock.time += 4
    health.wait_for("kafka-writes", "nothing is taken")
    assert health.find_faults() == [Fault("kafka-writes", "nothing is taken", 0)]


def test_a_lost_cluster_is_blamed_beside_what_the_loop_waits_for(health: Health) -> None:
    health.lose_kafka("no answer")
    health.wait_for("database", "is locked")
    assert blamed(health) == ["database", "kafka"]
    health.finish_batch({PART: 11})
    assert blamed(health) == ["kafka"]
    health.regain_kafka()
    assert blamed(health) == []


def test_a_position_that_stands_still_while_lag_grows_is_not_ready(
    clock: Clock, health: Health
) -> None:
    clock.time += 3600
    health.see_ends({PART: 14})
    assert blamed(health) == []  # it may still move
    clock.time += PATIENCE_SECONDS
    health.see_ends({PART: 15})
    [fault] = health.find_faults()
    assert fault.what == "ioa.learning[0]"
    assert fault.reason == "stands at offset 10 while its end grew to 15"
    assert fault.seconds == PATIENCE_SECONDS
    health.finish_batch({PART: 12})
    assert blamed(health) == []
    assert health.condition.progress[PART].lag == 3


def test_a_partition_of_which_nothing_was_handled_yet_is_told_so(clock: Clock) -> None:
    health = Health(clock)
    health.begin({PART: None})
    health.see_ends({PART: 14})
    health.see_ends({PART: 15})
    clock.time += PATIENCE_SECONDS
    [fault] = health.find_faults()
    assert fault.reason == "nothing of it is handled yet while its end grew to 15"


def test_a_long_time_without_records_is_ready(clock: Clock, health: Health) -> None:
    for _ in range(10):
        clock.time += PATIENCE_SECONDS
        health.see_ends({PART: 10})
    assert blamed(health) == []


def test_a_lag_that_stays_is_ready(clock: Clock, health: Health) -> None:
    """Behind the last record there may stand the mark of a transaction, which nobody handles."""
    health.finish_batch({PART: 11})
    health.see_ends({PART: 12})
    clock.time += PATIENCE_SECONDS
    health.see_ends({PART: 12})
    assert health.condition.progress[PART].lag == 1
    assert blamed(health) == []


def test_an_end_known_too_late_is_no_growth(clock: Clock, health: Health) -> None:
    """Ends are seen once a second; a position may be ahead of what was seen."""
    health.finish_batch({PART: 50})
    assert health.condition.progress[PART].lag == 0
    health.see_ends({PART: 51})
    clock.time += PATIENCE_SECONDS
    assert blamed(health) == []


def test_where_nothing_was_read_yet_growth_counts_too(clock: Clock) -> None:
    health = Health(clock)
    health.begin({PART: None})
    health.see_ends({PART: 7, ("ioa.learning", 1): 99})
    health.see_ends({PART: -1001})
    clock.time += PATIENCE_SECONDS
    assert blamed(health) == []
    health.see_ends({PART: 8})
    clock.time += PATIENCE_SECONDS
    assert blamed(health) == ["ioa.learning[0]"]
    assert health.condition.progress[PART].lag is None


def test_a_batch_that_does_not_end_is_not_ready_and_then_not_alive(
    clock: Clock, health: Health
) -> None:
    health.take_batch()
    clock.time += PATIENCE_SECONDS
    assert blamed(health) == ["batch"]
    assert health.find_liveness_faults() == []
    clock.time += LONGEST_SILENCE_SECONDS
    assert [fault.what for fault in health.find_liveness_faults()] == ["loop"]
    health.finish_batch({PART: 11})
    assert blamed(health) == []
    assert health.find_liveness_faults() == []


def test_waiting_for_hours_is_alive(clock: Clock, health: Health) -> None:
    for _ in range(1000):
        clock.time += 10
        health.wait_for("database", "is away")
    assert health.find_liveness_faults() == []
    assert blamed(health) == ["database"]


def test_a_long_preparation_is_no_standstill(clock: Clock) -> None:
    health = Health(clock)
    health.wait_for("database", "does not answer")
    clock.time += 10 * LONGEST_SILENCE_SECONDS  # the tables are migrated
    assert health.find_liveness_faults() == []
    health.begin()
    assert health.find_liveness_faults() == []
    health.prepare()  # in a rebalance the loop goes round
    clock.time += LONGEST_SILENCE_SECONDS
    assert [fault.what for fault in health.find_liveness_faults()] == ["loop"]

"""What is said of errors between us and a broker, and how often."""

import pytest
from confluent_kafka import KafkaError

from stream.errors import KafkaRefused
from stream.kafka.connection import ErrorWatch


def test_trouble_that_goes_on_is_reported_now_and_then() -> None:
    seconds = iter(range(100))
    reports: list[str] = []
    watch = ErrorWatch("127.0.0.1:1", reports.append, clock=lambda: float(next(seconds)))
    for _ in range(40):
        watch(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))  # noqa: SLF001
    assert 3 <= len(reports) <= 5
    assert set(reports) == {"1/1 brokers are down"}


def test_a_client_that_never_works_again_is_noticed_also_when_only_a_commit_says_so() -> None:
    """As of a group member that was fenced while it handled a batch."""
    watch = ErrorWatch("127.0.0.1:1")
    error = KafkaError(KafkaError._FATAL, "Commit failed: Local: Fatal error")  # noqa: SLF001
    assert not error.fatal()
    watch(error)
    with pytest.raises(KafkaRefused, match="ended this process's session; start it again"):
        watch.raise_if_hopeless()


def test_what_ended_a_client_is_said_although_only_words_tell_it() -> None:
    """As of a group member that was fenced while it waited for records."""
    fenced = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
    watch = ErrorWatch("127.0.0.1:1")
    watch(KafkaError(KafkaError._FATAL, f"Fatal error: {fenced}"))  # noqa: SLF001
    with pytest.raises(KafkaRefused, match="start each with an --instance of its own"):
        watch.raise_if_hopeless()

"""The Kafka broker of a test session: a given one, a container, or the embedded one."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker, prepare_jvm
from tests.support.alone import alone

# Kafka 4.0; testcontainers' start script needs Confluent's image.
IMAGE = "confluentinc/cp-kafka:8.0.0"


def open_broker(
    given: str | None, kind: str | None, directory: Path
) -> AbstractContextManager[str]:
    """A context that yields the bootstrap address of one broker.

    Args:
        given: ``HOST:PORT`` of a running cluster, which wins.
        kind: ``docker`` for a container; otherwise the embedded broker.
        directory: where the embedded broker keeps its data and logs.
    """
    if given:
        return nullcontext(given)
    return _run_container() if kind == "docker" else _run_embedded(directory)


def kill_broker(broker: EmbeddedBroker) -> None:
    """End Kafka with SIGKILL; nothing is closed in order. ``start`` brings it back."""
    os.kill(broker.pid, signal.SIGKILL)
    broker.stop()  # there is nothing left to stop; it only forgets the process


@contextmanager
def _run_embedded(directory: Path) -> Iterator[str]:
    with alone():
        prepare_jvm(print)
    broker = EmbeddedBroker(directory).start()
    try:
        yield broker.bootstrap_servers
    finally:
        kill_broker(broker)  # to end in order takes ten seconds with the topics of all tests


@contextmanager
def _run_container() -> Iterator[str]:
    # Imported only here: most machines that run the tests have no container engine.
    from docker.errors import DockerException
    from testcontainers.community.kafka import KafkaContainer

    try:
        container = KafkaContainer(IMAGE).with_kraft()
    except DockerException as error:
        pytest.exit(f"IOA_TEST_BROKER=docker, but no container engine answers: {error}", 1)
    with container.with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"):
        yield container.get_bootstrap_server()

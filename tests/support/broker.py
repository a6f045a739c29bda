"""The Kafka broker of a test session: a running cluster, a container, or the embedded broker."""

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from stream.broker.embedded import EmbeddedBroker, prepare_jvm
from tests.support.exclusive import exclusive

# Kafka 4.0; testcontainers' start script needs Confluent's image.
IMAGE = "confluentinc/cp-kafka:8.0.0"


def open_broker(
    given: str | None, kind: str | None, directory: Path
) -> AbstractContextManager[str]:
    """Return a context that yields the bootstrap address of a broker.

    Args:
        given: ``HOST:PORT`` of a running cluster; takes precedence.
        kind: ``docker`` for a container; otherwise the embedded broker.
        directory: data and logs of the embedded broker.
    """
    if given:
        return nullcontext(given)
    return _run_container() if kind == "docker" else _run_embedded(directory)


def kill_broker(broker: EmbeddedBroker) -> None:
    """Kill Kafka with SIGKILL. ``start`` starts it again."""
    os.kill(broker.pid, signal.SIGKILL)
    broker.stop()  # only forgets the process, which has ended


@contextmanager
def _run_embedded(directory: Path) -> Iterator[str]:
    with exclusive():
        prepare_jvm(print)
    broker = EmbeddedBroker(directory).start()
    try:
        yield broker.bootstrap_servers
    finally:
        kill_broker(broker)  # an orderly stop takes ten seconds with the topics of all tests


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

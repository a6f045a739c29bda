"""Sends records as three producers do: librdkafka for Python, Kafka's own Java client, and kcat."""

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka import Message as KafkaMessage

from stream.broker.class_path import verified_class_path
from stream.broker.download import fetch_jars
from stream.broker.errors import BrokerError
from stream.broker.jars import Jar, default_repository
from stream.broker.jvm import find_java
from stream.exchange.exchanges import find_exchange
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.exclusive import exclusive
from tests.support.fuzz import COMPRESSIONS, FuzzRecord
from tests.support.waiting import LONG

Send = Callable[[KafkaSettings, Iterable[FuzzRecord]], None]
_LARGEST = 80 * 2**20
_SOURCE = Path(__file__).parent / "RecordProducer.java"
# The Java from pip has no compiler.
_COMPILER = Jar(
    "org.eclipse.jdt",
    "ecj",
    "3.44.0",
    "14c46ddc2e511c46c998da728f6a80f13a689c920f3832402f7ad150f6a6188d",
)


def send_with_librdkafka(kafka: KafkaSettings, records: Iterable[FuzzRecord]) -> None:
    """Send with a producer of each compression; fail if the broker refuses one."""
    topics, failures = Topics(kafka.prefix), []
    producers = {
        compression: Producer(
            kafka.client_config()
            | {"compression.type": compression, "message.max.bytes": _LARGEST, "linger.ms": 20}
        )
        for compression in COMPRESSIONS
    }

    def note(error: KafkaError | None, _: KafkaMessage) -> None:
        if error is not None:
            failures.append(error.str())

    for record in records:
        producer, topic = producers[record.compression], _find_topic(topics, record)
        while True:
            with suppress(BufferError):
                producer.produce(
                    topic, record.value, record.key, headers=[*record.headers], on_delivery=note
                )
                break
            producer.poll(0.1)
        producer.poll(0)
    for producer in producers.values():
        assert producer.flush(LONG) == 0, "the broker did not take everything"
    assert not failures, failures


def send_with_java(kafka: KafkaSettings, records: Iterable[FuzzRecord]) -> None:
    """Send with Kafka's own client, compiled and run on the Java from pip."""
    topics, groups = Topics(kafka.prefix), defaultdict(list)
    for record in records:
        groups[record.compression].append(_serialise(_find_topic(topics, record), record))
    with TemporaryDirectory(prefix="ioa-java-") as folder:
        class_path = _compile(Path(folder))
        for compression, bodies in groups.items():
            given = len(bodies).to_bytes(4) + b"".join(bodies)
            java = [find_java(), "-cp", class_path, _SOURCE.stem]
            _run(*java, kafka.bootstrap_servers, compression, given=given)


def send_with_kcat(kafka: KafkaSettings, records: Iterable[FuzzRecord]) -> None:
    """Send with kcat, a run for each record; what a command line cannot carry is left out.

    Skips the test if kcat is not installed.
    """
    if shutil.which("kcat") is None:
        pytest.skip("needs kcat, which pip does not have: apt install kcat")
    topics = Topics(kafka.prefix)
    for record in records:
        headers = [
            part
            for name, value in record.headers
            if name and value and b"\0" not in value and "=" not in name
            for part in (b"-H", name.encode() + b"=" + value)
        ]
        key = record.key and record.key.replace(b"\0", b"")
        with TemporaryDirectory(prefix="ioa-kcat-") as folder:
            body = Path(folder) / "body"
            body.write_bytes(record.value or b"")
            kcat = ["kcat", "-P", "-b", kafka.bootstrap_servers, "-t", _find_topic(topics, record)]
            keyed = [b"-k", key] if key else []
            _run(*kcat, "-z", record.compression, *keyed, *headers, body)


PRODUCERS: dict[str, Send] = {
    "librdkafka": send_with_librdkafka,
    "java": send_with_java,
    "kcat": send_with_kcat,
}


def _find_topic(topics: Topics, record: FuzzRecord) -> str:
    return topics.of(find_exchange(record.exchange, topics.exchanges)).name


def _compile(folder: Path) -> str:
    """Compile the producer into ``folder`` and return the class path that runs it.

    Skips the test if the compiler is not here and cannot be fetched.
    """
    repository = default_repository()
    compiler = _COMPILER.path_in(repository)
    with exclusive():
        class_path = ":".join(map(str, [*verified_class_path(repository), folder]))
        if not compiler.exists():
            try:
                fetch_jars([_COMPILER], repository)
            except BrokerError as error:
                pytest.skip(f"needs {_COMPILER.name}, the compiler of Eclipse: {error}")
    _run(
        *(find_java(), "-jar", compiler, "-proc:none", "-17"),
        *("-cp", class_path, "-d", folder, _SOURCE),
    )
    return class_path


def _serialise(topic: str, record: FuzzRecord) -> bytes:
    """Return what the Java producer reads of one record."""
    headers = [part for name, value in record.headers for part in (name.encode(), value)]
    before = b"".join(map(_prefix, (topic.encode(), record.key, record.value)))
    return before + len(record.headers).to_bytes(4) + b"".join(map(_prefix, headers))


def _prefix(data: bytes | None) -> bytes:
    length = -1 if data is None else len(data)
    return length.to_bytes(4, signed=True) + (data or b"")


def _run(*command: object, given: bytes = b"") -> None:
    arguments: Sequence[str | bytes] = [
        part if isinstance(part, bytes) else str(part) for part in command
    ]
    ran = subprocess.run(arguments, input=given, capture_output=True, timeout=LONG, check=False)
    assert ran.returncode == 0, f"{command[0]}: {ran.stderr.decode(errors='replace')}"

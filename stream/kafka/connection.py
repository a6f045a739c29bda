"""Reaching the cluster: errors in words and early, and waiting where a service should wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from stream.errors import KafkaRefused, KafkaUnavailable, StreamError, TopicMissing
from stream.kafka.settings import KafkaSettings

# Errors that no retry mends: librdkafka itself would go on for minutes.
_HOPELESS = {
    KafkaError._AUTHENTICATION: "refuses the user name or password",
    KafkaError._SSL: "and this client do not agree on TLS",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "does not permit this",
    KafkaError.FENCED_INSTANCE_ID: "gave this process's place to another one of the same name; "
    "start each with an --instance of its own. A broker that was killed may also have forgotten "
    "that this one was restarted shortly before; then start it again",
    # Every later call of a client that has met such an error says this: it never works again.
    KafkaError._FATAL: "ended this process's session; start it again",
}

# Errors of a consumer that last. librdkafka marks no consumer error as retriable; all others pass.
_LASTING = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError._AUTO_OFFSET_RESET,
)

_REPORT_SECONDS = 10.0

NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
"""Codes of a topic that is missing, as the broker and as the library says it."""

TOPIC_REMEDY = "`ioa topic check` says what makes it"
"""What an operator does about a topic that is missing."""

UNDELIVERABLE = (
    *NO_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.POLICY_VIOLATION,
)
"""Codes of records that no broker takes, however often they are sent; a person must mend it."""


class ErrorWatch:
    """An ``error_cb`` of librdkafka's that raises in the calling thread what cannot heal.

    Args:
        report: receives errors that may heal, such as a broker that is away, now and then:
            librdkafka repeats them with every attempt to connect, up to twenty times a second.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        report: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._where = bootstrap_servers
        self._report = report
        self._clock = clock
        self._reported_at = float("-inf")
        self._hopeless: str | None = None
        self.last: str | None = None

    def __call__(self, error: KafkaError) -> None:
        self.last = error.str()
        if (meaning := _HOPELESS.get(_find_cause(error))) or error.fatal():
            meaning = meaning or "ended this session"
            self._hopeless = f"the broker at {self._where} {meaning} ({error.str()})"
        elif self._clock() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = self._clock()
            self._report(error.str())

    def raise_if_hopeless(self) -> None:
        """Raise KafkaRefused once a password, certificate or membership was refused."""
        if self._hopeless is not None:
            raise KafkaRefused(self._hopeless)


def _find_cause(error: KafkaError) -> int:
    """Return the code of an error; of a fatal one, the code that only its text names."""
    if error.code() == KafkaError._FATAL:
        for code in _HOPELESS:
            if code != KafkaError._FATAL and KafkaError(code).str() in error.str():
                return code
    return error.code()


def raise_if_lasting(error: KafkaError, topic: str) -> None:
    """Raise StreamError for an error of a consumer that does not pass by itself.

    Raises:
        TopicMissing: there is no such topic.
        StreamError: another one.
    """
    if error.code() in NO_TOPIC:
        raise TopicMissing(f"cannot read {topic}: it is missing; {TOPIC_REMEDY}")
    if error.fatal() or error.code() in _LASTING:
        raise StreamError(f"cannot read {topic}: {error.str()}")


def tells_end(message: KafkaMessage) -> bool:
    """Tell whether a message only says that the end of a partition was reached."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


@contextmanager
def explaining_kafka() -> Iterator[None]:
    """Turn what librdkafka raises inside the block into KafkaUnavailable."""
    try:
        yield
    except KafkaException as error:
        raise KafkaUnavailable(
            f"Kafka does not do what was asked: {error.args[0].str()}"
        ) from error


def connect_admin(settings: KafkaSettings, timeout: float = 5.0) -> AdminClient:
    """Return an admin client of a cluster that has just answered.

    Raises:
        KafkaUnavailable: nobody answers within ``timeout`` seconds.
        KafkaRefused: we are refused.
    """
    watch = ErrorWatch(settings.bootstrap_servers)
    admin = AdminClient(settings.client_config() | {"error_cb": watch})
    try:
        admin.list_topics(timeout=timeout)
    except KafkaException as error:
        admin.poll(0)
        raise explain_absence(settings.bootstrap_servers, watch, error) from error
    return admin


def explain_absence(where: str, watch: ErrorWatch, error: KafkaException) -> KafkaUnavailable:
    """Return the error for a broker that did not answer, with what the library last said.

    Raises:
        KafkaRefused: it did answer, and refused us.
    """
    watch.raise_if_hopeless()
    return KafkaUnavailable(
        f"no Kafka broker answers at {where} ({watch.last or error.args[0].str()}). Is it running "
        "(`ioa broker start` starts one here), is the address right, and is security.protocol?"
    )


def wait_for_cluster(
    settings: KafkaSettings, stop: Event, report: Callable[[str], None]
) -> AdminClient | None:
    """Wait until the cluster answers; None when ``stop`` was set first.

    Raises:
        KafkaRefused: waiting cannot help.
    """
    for delay in backoff():
        if stop.is_set():
            return None
        try:
            return connect_admin(settings, timeout=2.0)
        except KafkaRefused:
            raise
        except KafkaUnavailable as error:
            report(str(error))
        stop.wait(delay)
    return None


def backoff(first: float = 0.2, limit: float = 10.0) -> Iterator[float]:
    """Yield waiting times in seconds, doubling from ``first`` up to ``limit``, for ever."""
    delay = first
    while True:
        yield delay
        delay = min(2 * delay, limit)


@explaining_kafka()
def read_cluster_id(admin: AdminClient) -> str:
    """Return the id that a cluster keeps for life (22 characters)."""
    return str(admin.list_topics(timeout=10).cluster_id)

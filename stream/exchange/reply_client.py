"""The client's side of request and reply, over a connection that may be away for any time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from confluent_kafka import KafkaError
from confluent_kafka import Message as KafkaMessage

from stream.exchange.exchanges import EXCHANGES, AnswerMessage, Exchange
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.replies import ReplyReader
from stream.exchange.topics import Topics
from stream.kafka.connection import UNDELIVERABLE
from stream.kafka.producer import Publisher
from stream.kafka.settings import KafkaSettings


@dataclass(slots=True)
class Arrivals:
    """What arrived between two polls.

    Attributes:
        delivered: message ids that a broker took.
        undelivered: message ids that no broker took; they may be sent again.
        failure: why sending again is of no use, where that is so.
    """

    delivered: list[str] = field(default_factory=list)
    undelivered: list[str] = field(default_factory=list)
    answers: list[AnswerMessage] = field(default_factory=list)
    failure: str | None = None


class ReplyClient:
    """Sends one client's messages and reads its answers; making one needs no broker.

    Without answers it only sends, and needs no right to read any topic.

    After the first ``connect`` a broker that goes away is found again without help. Records sent
    meanwhile are reported as undelivered after ``delivery_timeout`` seconds, to be sent again.

    Args:
        linger_ms: see ``Publisher``; a learning message may wait, a question should not.
        exchanges: whose answers are read.
        answers: whether any are read.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        client_id: str,
        *,
        delivery_timeout: float = 120.0,
        linger_ms: int = 0,
        exchanges: Sequence[Exchange[Any]] = EXCHANGES,
        answers: bool = True,
    ) -> None:
        self.topics = Topics(settings.prefix, exchanges=exchanges)
        self._replies = ReplyReader(settings, client_id, self.topics) if answers else None
        self._publisher = Publisher(
            settings, delivery_timeout=delivery_timeout, linger_ms=linger_ms
        )
        self._arrivals = Arrivals()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._replies is not None:
            self._replies.close()

    @property
    def reads_answers(self) -> bool:
        """Whether answers are read."""
        return self._replies is not None

    def connect(self, timeout: float, *, since: float | None = None) -> str | None:
        """Start to read answers; see ``ReplyReader.open`` for arguments, result and errors."""
        if self._replies is None:
            return self._publisher.connect(timeout)
        return self._replies.open(timeout, since=since)

    def send(self, records: Iterable[OutgoingRecord]) -> None:
        """Queue records; ``poll`` tells what became of each."""
        for record in records:
            self._publisher.produce(
                record.topic,
                record.value,
                key=record.key,
                headers=record.headers,
                on_delivered=partial(self._note_delivery, record),
            )

    def poll(self, timeout: float) -> Arrivals:
        """Return what arrived since the last poll, waiting up to ``timeout`` seconds for more.

        Raises:
            KafkaRefused: the broker refuses us for good.
        """
        answers = [] if self._replies is None else self._replies.read(timeout)
        self._publisher.poll(timeout if self._replies is None else 0)
        arrivals, self._arrivals = self._arrivals, Arrivals()
        arrivals.answers = answers
        return arrivals

    def _note_delivery(
        self, record: OutgoingRecord, error: KafkaError | None, _: KafkaMessage | None
    ) -> None:
        if error is None:
            self._arrivals.delivered.append(record.message_id)
            return
        self._arrivals.undelivered.append(record.message_id)
        if error.code() in UNDELIVERABLE:
            reason = f"{record.topic} does not take {record.message_id}: {error.str()}"
            self._arrivals.failure = reason

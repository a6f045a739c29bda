"""The client's side of request and reply: send messages, match what comes back.

Answers arrive on the client's own reply topic; ``inReplyTo`` is the id of the message they answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError

from schemas.messages import Answer, LatentMessage
from stream.errors import DeliveryFailed
from stream.letter import make_letter
from stream.producer import Publisher
from stream.replies import ReplyReader
from stream.settings import KafkaSettings
from stream.topics import Topics

_CONNECT_SECONDS = 5.0

Clock = Callable[[], float]


@dataclass(slots=True)
class Answered:
    """An answer and the seconds that passed since its message was sent."""

    answer: Answer
    seconds: float


@dataclass
class Exchange:
    """One client's conversation with the server.

    ``open`` holds the ids of the messages without an answer and when they were sent. Answers to
    anything else, such as second answers after a crash, and records that are no answers are passed
    over.

    Raises:
        KafkaUnavailable: no broker answers.
        TopicMissing: the operator has not registered this client.
    """

    settings: KafkaSettings
    client_id: str
    clock: Clock
    open: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._topics = Topics(self.settings.prefix)
        self._undelivered: list[str] = []
        self._replies = ReplyReader(self.settings, self.client_id)
        self._replies.open(_CONNECT_SECONDS)
        self._publisher = Publisher(self.settings)

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self._replies.close()

    def send(
        self,
        message: LatentMessage,
        content_type: str,
        *,
        deadline: float | None = None,
    ) -> int:
        """Queue a message that has a ``message_id``; return its size in bytes.

        Args:
            deadline: seconds since the Unix epoch after which no answer is wanted.

        Raises:
            SchemaError: the message breaks the contract.
            RecordTooLarge: it exceeds the topic's limit.
        """
        letter = make_letter(message, content_type, self._topics, deadline=deadline)
        self.open[letter.message_id] = self.clock()
        self._publisher.produce(
            letter.topic,
            letter.value,
            key=letter.key,
            headers=letter.headers,
            on_delivered=self._note_delivery,
        )
        return len(letter.value)

    def receive(self, timeout: float) -> list[Answered]:
        """Return the answers at hand, waiting up to ``timeout`` seconds for the first.

        Raises:
            DeliveryFailed: the broker did not take one of our messages.
            KafkaRefused: the broker refuses us for good.
        """
        answers = self._replies.read(timeout)
        self._publisher.poll()
        if self._undelivered:
            raise DeliveryFailed("; ".join(dict.fromkeys(self._undelivered)))
        return [match for answer in answers if (match := self._match(answer))]

    def _match(self, answer: Answer) -> Answered | None:
        sent = self.open.pop(answer.in_reply_to or "", None)
        return None if sent is None else Answered(answer, self.clock() - sent)

    def _note_delivery(self, error: KafkaError | None) -> None:
        if error is not None:
            self._undelivered.append(error.str())

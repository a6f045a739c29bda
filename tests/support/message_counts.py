"""Counts of messages sent, stored, asked and answered, from the topics and the database."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import Message
from sqlalchemy import Engine, select

from schemas.messages.answers import Reply
from server_classifier.store.database import reading
from server_classifier.store.tables import latent
from stream.exchange.codec import decode_answer
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.record import Record
from stream.kafka.settings import KafkaSettings
from tests.support.topics import read_all


@dataclass(frozen=True)
class MessageCounts:
    """How many messages were sent, and how many rows the database has of them."""

    sent: int
    stored: int
    doubled: int
    lost: int

    @property
    def exact(self) -> bool:
        """Whether every message is stored exactly once."""
        return (self.stored, self.doubled, self.lost) == (self.sent, 0, 0)


@dataclass(frozen=True)
class AnswerCounts:
    """How many questions were asked, and how they were answered.

    Attributes:
        labelled: replies with a label of the classifier.
        again: questions with more than one reply; permitted.
        contradicted: questions to which one model version gave two labels; never permitted.
    """

    asked: int
    unanswered: int
    labelled: int
    again: int
    contradicted: int


def count_rows(engine: Engine, sent: Iterable[str]) -> MessageCounts:
    """Compare the message ids that were sent with the rows of the database."""
    with reading(engine) as connection:
        rows = list(connection.scalars(select(latent.c.message_id)))
    ids, stored = set(sent), set(rows)
    return MessageCounts(len(ids), len(rows), len(rows) - len(stored), len(ids - stored))


def list_sent(kafka: KafkaSettings) -> set[str]:
    """Return the ids of all messages that the learning topic holds."""
    topic = Topics(kafka.prefix).of(LEARNING).name
    return {_key(message) for message in read_all(kafka.bootstrap_servers, topic)}


def count_answers(kafka: KafkaSettings, clients: Iterable[str]) -> AnswerCounts:
    """Compare the questions in the service topic with the replies to all clients."""
    topics = Topics(kafka.prefix)
    questions = read_all(kafka.bootstrap_servers, topics.of(SERVICE).name)
    asked = {_key(question) for question in questions}
    replies = [reply for client in clients for reply in _read_replies(kafka, topics, client)]
    counts = Counter(reply.in_reply_to for reply in replies)
    labelled = [reply for reply in replies if reply.model_version is not None]
    labels: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    for reply in labelled:
        labels[reply.in_reply_to, reply.model_version].add(reply.label)
    return AnswerCounts(
        asked=len(asked),
        unanswered=len(asked - set(counts)),
        labelled=len(labelled),
        again=sum(count > 1 for count in counts.values()),
        contradicted=sum(len(given) > 1 for given in labels.values()),
    )


def _key(message: Message) -> str:
    return (message.key() or b"").decode()


def _read_replies(kafka: KafkaSettings, topics: Topics, client: str) -> list[Reply]:
    messages = read_all(kafka.bootstrap_servers, topics.replies(client).name)
    answers = [decode_answer(Record.from_kafka(message)) for message in messages]
    return [answer for answer in answers if isinstance(answer, Reply)]

"""Clients that only ask and cost little, so that the service is what is measured.

Each client keeps a number of questions open: it sends the next question when an answer comes. The
questions are repeated in turn; there must be more of them than are open at a time.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Protocol

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.learning_load import ASKER
from schemas.messages.answers import Answer
from schemas.wire.avro_form import encode_avro
from stream.exchange.exchanges import AnswerMessage
from stream.exchange.outgoing_record import OutgoingRecord
from stream.exchange.reply_client import ReplyClient
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings

PATIENCE_SECONDS = 60.0
_MANY = 16  # open questions from which lingering pays off for a producer


@dataclass
class Asked:
    """The answers to the questions of a while.

    Attributes:
        taken: seconds from each question to its answer.
        bodies: the last answer to each question, by message id.
        seconds: from the first question to the last answer.
    """

    taken: list[float] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


class Asker(Protocol):
    """A client that asks; its connections stay open between calls."""

    def ask(self, in_flight: int, seconds: float) -> Asked:
        """Keep ``in_flight`` questions open for ``seconds``, then wait for the last answers.

        Raises:
            TimeoutError: no answer comes for a minute.
        """

    def close(self) -> None:
        """Close the connections."""


class OpenQuestions:
    """The questions without an answer, and the answers so far.

    Attributes:
        asked: the answers so far.
    """

    def __init__(self, seconds: float) -> None:
        self.asked = Asked()
        self._began = time.perf_counter()
        self._end = self._began + seconds
        self._open: dict[str, float] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether a question has no answer yet."""
        return bool(self._open)

    @property
    def is_due(self) -> bool:
        """Whether there is time for one more question."""
        return time.perf_counter() < self._end

    def note_question(self, message_id: str) -> None:
        self._open[message_id] = time.perf_counter()

    def note_answer(self, message_id: str, body: bytes) -> bool:
        """Return whether this is the first answer to the question."""
        asked_at = self._open.pop(message_id, None)
        if asked_at is None:
            return False
        now = time.perf_counter()
        self.asked.taken.append(now - asked_at)
        self.asked.bodies[message_id] = body
        self.asked.seconds = now - self._began
        return True


class KafkaAsker:
    """A producer and a consumer of librdkafka. From 16 open questions the producer lingers."""

    def __init__(self, kafka: KafkaSettings, questions: Sequence[OutgoingRecord]) -> None:
        self._questions = cycle(questions)
        self._prompt, self._patient = (
            Producer(kafka.client_config() | {"linger.ms": linger}) for linger in (0, 1)
        )
        group = {"group.id": "asker", "enable.auto.commit": False, "fetch.queue.backoff.ms": 2}
        self._consumer = Consumer(kafka.client_config() | group)
        self._consumer.assign([TopicPartition(Topics(kafka.prefix).replies(ASKER).name, 0, 0)])

    def close(self) -> None:
        self._consumer.close()

    def ask(self, in_flight: int, seconds: float) -> Asked:
        producer = self._patient if in_flight >= _MANY else self._prompt
        open_questions = OpenQuestions(seconds)
        for _ in range(in_flight):
            self._send(producer, open_questions)
        while open_questions.is_waiting:
            for message_id, body in self._receive():
                if open_questions.note_answer(message_id, body) and open_questions.is_due:
                    self._send(producer, open_questions)
            producer.poll(0)
        return open_questions.asked

    def _send(self, producer: Producer, open_questions: OpenQuestions) -> None:
        question = next(self._questions)
        open_questions.note_question(question.message_id)
        producer.produce(question.topic, question.value, question.key, headers=[*question.headers])

    def _receive(self) -> Iterator[tuple[str, bytes]]:
        first = self._consumer.poll(PATIENCE_SECONDS)
        if first is None:
            raise TimeoutError("no answer comes")
        for message in [first, *self._consumer.consume(1000, 0)]:
            assert message.error() is None, message.error()
            yield (message.key() or b"").decode(), message.value() or b""


class ReplyClientAsker:
    """The reply client of ``ioa client ask``, which decodes and checks the answers."""

    def __init__(self, kafka: KafkaSettings, questions: Sequence[OutgoingRecord]) -> None:
        self._questions = cycle(questions)
        self._reply_client = ReplyClient(kafka, ASKER)
        self._reply_client.connect(30.0)

    def close(self) -> None:
        self._reply_client.__exit__()

    def ask(self, in_flight: int, seconds: float) -> Asked:
        open_questions = OpenQuestions(seconds)
        last: dict[str, AnswerMessage] = {}
        self._send(open_questions, in_flight)
        while open_questions.is_waiting:
            answers = self._reply_client.poll(PATIENCE_SECONDS).answers
            if not answers:
                raise TimeoutError("no answer comes")
            last |= {answer.in_reply_to or "": answer for answer in answers}
            new = sum(
                open_questions.note_answer(answer.in_reply_to or "", b"") for answer in answers
            )
            if open_questions.is_due:
                self._send(open_questions, new)
        open_questions.asked.bodies = {
            message_id: encode_avro(answer)
            for message_id, answer in last.items()
            if isinstance(answer, Answer)
        }
        return open_questions.asked

    def _send(self, open_questions: OpenQuestions, count: int) -> None:
        questions = [next(self._questions) for _ in range(count)]
        for question in questions:
            open_questions.note_question(question.message_id)
        self._reply_client.send(questions)


class HttpAsker:
    """Bare HTTP/1.1 with one kept connection for each open question; ``POST /answer``."""

    def __init__(self, address: str, questions: Sequence[OutgoingRecord]) -> None:
        host, _, port = address.partition(":")
        self._address = host, int(port)
        self._loop = asyncio.new_event_loop()
        self._connections: list[_Connection] = []
        self._questions = cycle(
            [(question.message_id, _write_request(question)) for question in questions]
        )

    def close(self) -> None:
        for connection in self._connections:
            connection.transport.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def ask(self, in_flight: int, seconds: float) -> Asked:
        return self._loop.run_until_complete(self._ask(in_flight, seconds))

    async def _ask(self, in_flight: int, seconds: float) -> Asked:
        while len(self._connections) < in_flight:
            self._connections.append(await self._connect())
        open_questions, done = OpenQuestions(seconds), self._loop.create_future()

        def ask_next(connection: _Connection, body: bytes) -> None:
            open_questions.note_answer(connection.asked, body)
            if open_questions.is_due:
                self._send(connection, open_questions)
            elif not open_questions.is_waiting:
                done.set_result(None)

        for connection in self._connections[:in_flight]:
            connection.on_answer = ask_next
            self._send(connection, open_questions)
        await asyncio.wait_for(done, seconds + PATIENCE_SECONDS)
        return open_questions.asked

    def _send(self, connection: "_Connection", open_questions: OpenQuestions) -> None:
        connection.asked, request = next(self._questions)
        open_questions.note_question(connection.asked)
        connection.transport.write(request)

    async def _connect(self) -> "_Connection":
        give_up = self._loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return (await self._loop.create_connection(_Connection, *self._address))[1]
            except ConnectionRefusedError:
                if self._loop.time() > give_up:
                    raise
            await asyncio.sleep(0.05)


class _Connection(asyncio.Protocol):
    """A connection with one open question at a time."""

    transport: asyncio.Transport
    on_answer: Callable[["_Connection", bytes], None]
    asked = ""
    _received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        assert head.startswith(b"HTTP/1.1 200"), head + body
        self._received = b""
        self.on_answer(self, body)


def _write_request(question: OutgoingRecord) -> bytes:
    head = (
        "POST /answer HTTP/1.1\r\nhost: bench\r\ncontent-type: avro/binary\r\n"
        f"content-length: {len(question.value)}\r\n\r\n"
    )
    return head.encode() + question.value

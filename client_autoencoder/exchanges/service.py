"""Asks the server what images show: encode, put into an outbox, send, wait until a deadline.

Questions have an outbox of their own, so that a client may ask while another of its processes
publishes. Questions that a killed process left are still asked until their deadline, and their
answers are reported, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice, takewhile

import numpy as np
from numpy.typing import NDArray

from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.local_exit import LocalExit
from client_autoencoder.exchanges.messages import MessageMaker, Progress
from client_autoencoder.images.batches import ImageBatch, Skipped
from client_autoencoder.outbox.entries import Settled
from client_autoencoder.outbox.relay import POLL_SECONDS, OutboxRelay
from client_autoencoder.privacy.mechanism import Mechanism
from schemas.messages.answers import Reply
from schemas.messages.latent import LatentMessage
from schemas.messages.validation import LEAST_QUERY_EPSILON
from stream.exchange.outgoing_record import make_record

_EXPIRY_SECONDS = 2.0  # a relay expires questions once a second

Question = tuple[LatentMessage, str, str | None]
"""A message, and the name and true label of its image."""


@dataclass
class Prediction:
    """The reply about one image; ``label`` and ``probabilities`` are empty where ``error`` is set.

    ``seconds`` and ``true_label`` are known for the questions of this run only. Where the encoder's
    local exit was sure, the answer was made at home and no question was sent.
    """

    name: str
    true_label: str | None
    label: str
    probability: float | None
    probabilities: dict[str, float]
    model_version: str | None
    error: str | None
    seconds: float | None
    at_home: bool = False


@dataclass
class ServiceReport:
    """What became of images: sent + at_home = predictions + expired.

    Attributes:
        sent: questions to the server.
        at_home: images that the local exit answered; the predictions say which.
        saved_bytes: of the values that were not sent for that reason.
        expired: the images about which no reply came in time.
        earlier: the answers to questions of previous runs.
        earlier_expired: the images of previous runs about which no reply came in time.
        waiting: questions of previous runs that still wait, since their deadline is later.
        stopped: whether asking ended before the images did, because nobody answered.
        skipped: the images that could not be read.

    Example:
        >>> report = client.ask_source("images/")
        >>> report.sent, len(report.answered), report.expired
        (3, 3, [])
        >>> sorted((answer.name, answer.label) for answer in report.predictions)[0]
        ('images/bar/0000.png', 'bar')
    """

    sent: int = 0
    at_home: int = 0
    saved_bytes: int = 0
    predictions: list[Prediction] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    earlier: list[Prediction] = field(default_factory=list)
    earlier_expired: list[str] = field(default_factory=list)
    waiting: int = 0
    stopped: bool = False
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def answered(self) -> list[Prediction]:
        """The predictions that carry a label."""
        return [prediction for prediction in self.predictions if prediction.error is None]

    @property
    def complete(self) -> bool:
        """Whether every image has an answer."""
        return len(self.answered) == self.sent + self.at_home


def ask(
    batches: Iterable[ImageBatch],
    maker: MessageMaker,
    relay: OutboxRelay,
    *,
    timeout: float,
    in_flight: int,
    on_progress: Progress,
    local_exit: LocalExit | None = None,
) -> ServiceReport:
    """Send images to be classified and wait for the replies.

    Args:
        local_exit: answers at home where it is sure.
        timeout: seconds until a question expires.
        in_flight: most questions that may be without a reply at a time.

    Raises:
        ClientError: the noise would make every answer useless.
        OutboxError: the outbox is full or cannot be written; what it took before is safe.
        StreamError: the broker refuses us or a message, or a message is too large.
    """
    _refuse_useless_noise(maker.mechanism)
    run = _Run(maker, relay, timeout, in_flight, on_progress, local_exit)
    for batch in batches:
        run.ask(batch)
        if run.report.stopped:
            break
    return run.finish()


def read_prediction(
    record: Settled, true_label: str | None = None, seconds: float | None = None
) -> Prediction:
    """Return the answer to a question."""
    outcome = record.outcome
    reply = outcome.answer
    if not isinstance(reply, Reply):  # from our server there is always one, not so from another
        return Prediction(
            record.name, true_label, "", None, {}, None, outcome.reason or outcome.kind, seconds
        )
    probabilities = reply.probabilities or {}
    return Prediction(
        name=record.name,
        true_label=true_label,
        label=reply.label,
        probability=probabilities.get(reply.label),
        probabilities=probabilities,
        model_version=reply.model_version,
        error=reply.error,
        seconds=seconds,
    )


@dataclass
class _Run:
    """One run of ``ask``, which separates its own questions from those of previous runs."""

    maker: MessageMaker
    relay: OutboxRelay
    timeout: float
    in_flight: int
    on_progress: Progress
    local_exit: LocalExit | None = None
    report: ServiceReport = field(default_factory=ServiceReport)

    def __post_init__(self) -> None:
        self._open: dict[str, tuple[str | None, float]] = {}  # true label, and when it was asked
        self._newest_answered = 0
        self.relay.on_settled = self._add_settled

    def ask(self, batch: ImageBatch) -> None:
        """Ask about each image, as soon as fewer than ``in_flight`` questions are open."""
        values = self.maker.encoder.encode(batch.images)
        if self.local_exit is not None:
            batch, values = self._answer_at_home(self.local_exit, batch, values)
        messages = self.maker.make(batch, "service", values)
        questions = zip(messages, batch.names, batch.labels, strict=True)
        while not self.report.stopped:
            room = self.in_flight - len(self._open)
            chosen = list(islice(questions, room))
            if room and not chosen:
                return
            self._put(chosen)
            self.relay.poll(0 if chosen else POLL_SECONDS)
            self._expire_overdue()

    def _answer_at_home(
        self, local_exit: LocalExit, batch: ImageBatch, values: NDArray[np.float32]
    ) -> tuple[ImageBatch, NDArray[np.float32]]:
        """Answer the images that the exit is sure of; return the others and their values."""
        answers = local_exit.answer(values)
        unsure = [number for number, answer in enumerate(answers) if answer is None]
        for answer, name, label in zip(answers, batch.names, batch.labels, strict=True):
            if answer is not None:
                best, *_ = answer
                self.report.predictions.append(
                    Prediction(name, label, best, answer[best], answer, None, None, None, True)
                )
        sure = np.delete(values, unsure, axis=0)
        self.report.at_home += len(sure)
        self.report.saved_bytes += sum(len(vector.data) for vector in self.maker.pack(sure))
        self._show_progress()
        return batch.select(unsure), values[unsure]

    def finish(self) -> ServiceReport:
        """Wait until every question is answered or has expired, and return what became of all."""
        give_up = self.relay.clock() + self.timeout + _EXPIRY_SECONDS
        while self.relay.outbox.counts.waiting and self.relay.clock() < give_up:
            self.relay.poll(POLL_SECONDS)
        self._expire_overdue()
        self.report.waiting = self.relay.outbox.counts.waiting
        return self.report

    def _expire_overdue(self) -> None:
        """Expire questions also by a clock that is never set back."""
        latest = self.relay.clock() - self.timeout - _EXPIRY_SECONDS
        oldest_first = self._open.items()
        overdue = takewhile(lambda question: question[1][1] <= latest, oldest_first)
        self.relay.expire([message_id for message_id, _ in overdue])

    def _put(self, questions: list[Question]) -> None:
        if not questions:
            return
        deadline = self.maker.now().timestamp() + self.timeout
        topics, now = self.relay.reply_client.topics, self.relay.clock()
        records = [
            make_record(message, self.maker.form, topics, deadline=deadline)
            for message, _, _ in questions
        ]
        for record, (_, _, label) in zip(records, questions, strict=True):
            self._open[record.message_id] = (label, now)
        self.relay.put(records, [name for _, name, _ in questions], timeout=self.timeout)
        self.report.sent += len(records)

    def _add_settled(self, settled: list[Settled]) -> None:
        for record in settled:
            if (question := self._open.pop(record.outcome.message_id, None)) is None:
                self._add_earlier(record)
            elif record.outcome.kind == "expired":
                self.report.expired.append(record.name)
                # Nobody answers, unless a later question has been answered already.
                self.report.stopped |= record.number > self._newest_answered
            else:
                label, asked_at = question
                seconds = self.relay.clock() - asked_at
                self.report.predictions.append(read_prediction(record, label, seconds))
                self._newest_answered = max(record.number, self._newest_answered)
        self._show_progress()

    def _show_progress(self) -> None:
        known = self.report.sent + self.report.at_home
        self.on_progress(known, known - len(self._open))

    def _add_earlier(self, record: Settled) -> None:
        if record.outcome.kind == "expired":
            self.report.earlier_expired.append(record.name)
        else:
            self.report.earlier.append(read_prediction(record))


def _refuse_useless_noise(mechanism: Mechanism) -> None:
    epsilon = mechanism.privacy.epsilon
    if epsilon is not None and epsilon <= LEAST_QUERY_EPSILON:
        raise ClientError(
            f"a question with noise of epsilon {epsilon:g} gets answers little better than "
            "chance. Send noised images in learning mode only, and ask without a mechanism"
        )

"""Images to answers: encoded, put into an outbox, sent, and waited for until their deadline.

Questions have an outbox of their own, so that a client may ask while another of its processes
publishes. Those that a killed process left go on while they have time; their answers are told, too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice, takewhile

from client_autoencoder.errors import ClientError
from client_autoencoder.exchanges.messages import MessageMaker, Progress
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.outbox.entries import Settled
from client_autoencoder.outbox.relay import LOOK_SECONDS, OutboxRelay
from client_autoencoder.privacy.mechanism import Privatizer
from schemas.messages.latent import LatentMessage
from schemas.messages.validation import LEAST_QUERY_EPSILON
from stream.exchange.outgoing_record import make_record

_EXPIRY_SECONDS = 2.0  # a relay looks for what has expired once a second

Question = tuple[LatentMessage, str, str | None]
"""A message, and its image's name and true label."""


@dataclass
class Prediction:
    """The reply about one image; label and ``probabilities`` are empty where ``error`` says why.

    ``seconds`` and ``true_label`` are known of the questions of this run only.
    """

    name: str
    true_label: str | None
    label: str
    probability: float | None
    probabilities: dict[str, float]
    model_version: str | None
    error: str | None
    seconds: float | None


@dataclass
class ServiceReport:
    """What became of questions, in the order in which it did: sent = predictions + expired.

    Attributes:
        expired: the images about which no reply came in time.
        earlier: what was answered to questions of former runs.
        earlier_expired: their images about which no reply came in time.
        waiting: questions still in the outbox, which a former run gave more time.
        stopped: asking ended before the images did, since nobody answered.
    """

    sent: int = 0
    predictions: list[Prediction] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    earlier: list[Prediction] = field(default_factory=list)
    earlier_expired: list[str] = field(default_factory=list)
    waiting: int = 0
    stopped: bool = False

    @property
    def answered(self) -> list[Prediction]:
        """The predictions that carry a label."""
        return [prediction for prediction in self.predictions if prediction.error is None]


def ask(
    batches: Iterable[ImageBatch],
    maker: MessageMaker,
    relay: OutboxRelay,
    *,
    timeout: float,
    in_flight: int,
    on_progress: Progress,
) -> ServiceReport:
    """Send images to be classified and wait for the replies.

    Args:
        timeout: seconds until a question expires.
        in_flight: questions that may be without a reply at a time.

    Raises:
        ClientError: the noise would make every answer useless.
        OutboxError: the outbox is full or cannot be written; what it took before is safe.
        StreamError: the broker refuses us or a message, or a message is too large.
    """
    _refuse_useless_noise(maker.privatizer)
    run = _Run(maker, relay, timeout, in_flight, on_progress)
    for batch in batches:
        run.ask(batch)
        if run.report.stopped:
            break
    return run.finish()


def read_prediction(
    settled: Settled, true_label: str | None = None, seconds: float | None = None
) -> Prediction:
    """Return what was answered to a question."""
    outcome = settled.outcome
    reply = outcome.reply
    if reply is None:  # only a server of another make answers a question so
        return Prediction(
            settled.name, true_label, "", None, {}, None, outcome.reason or outcome.kind, seconds
        )
    probabilities = reply.probabilities or {}
    return Prediction(
        name=settled.name,
        true_label=true_label,
        label=reply.label,
        probability=probabilities.get(reply.label),
        probabilities=probabilities,
        model_version=reply.model_version,
        error=reply.error,
        seconds=seconds,
    )


class _Run:
    """One run of ``ask``; it tells its own questions from those of former runs."""

    def __init__(
        self,
        maker: MessageMaker,
        relay: OutboxRelay,
        timeout: float,
        in_flight: int,
        on_progress: Progress,
    ) -> None:
        self.report = ServiceReport()
        self._maker = maker
        self._relay = relay
        self._timeout = timeout
        self._in_flight = in_flight
        self._on_progress = on_progress
        self._open: dict[str, tuple[str | None, float]] = {}  # true label, and when it was asked
        self._newest_answered = 0
        relay.note = self._note

    def ask(self, batch: ImageBatch) -> None:
        """Ask about each image, as soon as fewer than ``in_flight`` questions are open."""
        messages = self._maker.make(batch, "service")
        questions = zip(messages, batch.names, batch.labels, strict=True)
        while not self.report.stopped:
            room = self._in_flight - len(self._open)
            chosen = list(islice(questions, room))
            if room and not chosen:
                return
            self._put(chosen)
            self._relay.work(0 if chosen else LOOK_SECONDS)
            self._expire_overdue()

    def finish(self) -> ServiceReport:
        """Wait until every question is answered or has expired, and return what became of all."""
        give_up = self._relay.clock() + self._timeout + _EXPIRY_SECONDS
        while self._relay.outbox.counts.waiting and self._relay.clock() < give_up:
            self._relay.work(LOOK_SECONDS)
        self._expire_overdue()
        self.report.waiting = self._relay.outbox.counts.waiting
        return self.report

    def _expire_overdue(self) -> None:
        """Let go what is past its deadline also by a clock that is never set back."""
        latest = self._relay.clock() - self._timeout - _EXPIRY_SECONDS
        asked = self._open.items()  # the oldest first
        late = takewhile(lambda question: question[1][1] <= latest, asked)
        self._relay.expire([message_id for message_id, _ in late])

    def _put(self, questions: list[Question]) -> None:
        if not questions:
            return
        deadline = self._maker.now().timestamp() + self._timeout
        topics, now = self._relay.reply_client.topics, self._relay.clock()
        letters = [
            make_record(message, self._maker.form, topics, deadline=deadline)
            for message, _, _ in questions
        ]
        for letter, (_, _, label) in zip(letters, questions, strict=True):
            self._open[letter.message_id] = (label, now)
        self._relay.put(letters, [name for _, name, _ in questions], timeout=self._timeout)
        self.report.sent += len(letters)

    def _note(self, settled: list[Settled]) -> None:
        for one in settled:
            if (asked := self._open.pop(one.outcome.message_id, None)) is None:
                self._note_earlier(one)
            elif one.outcome.kind == "expired":
                self.report.expired.append(one.name)
                # Where a later question has been answered this one was unlucky.
                self.report.stopped |= one.number > self._newest_answered
            else:
                label, asked_at = asked
                seconds = self._relay.clock() - asked_at
                self.report.predictions.append(read_prediction(one, label, seconds))
                self._newest_answered = max(one.number, self._newest_answered)
        self._on_progress(self.report.sent, self.report.sent - len(self._open))

    def _note_earlier(self, one: Settled) -> None:
        if one.outcome.kind == "expired":
            self.report.earlier_expired.append(one.name)
        else:
            self.report.earlier.append(read_prediction(one))


def _refuse_useless_noise(privatizer: Privatizer) -> None:
    epsilon = privatizer.privacy.epsilon
    if epsilon is not None and epsilon <= LEAST_QUERY_EPSILON:
        raise ClientError(
            f"a question with noise of epsilon {epsilon:g} gets answers little better than "
            "chance. Send noised images in learning mode only, and ask without a privatizer"
        )

"""Labelled images to the server: encoded, put on the disk, sent, and waited for.

Messages of former runs that wait in the outbox go first; a broker that is away stops nobody from
encoding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from client_autoencoder.errors import ClientError, OutboxFull
from client_autoencoder.exchanges.messages import MessageMaker, Progress
from client_autoencoder.exchanges.service import Prediction, read_prediction
from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped
from client_autoencoder.outbox.entries import Kind, Settled
from client_autoencoder.outbox.relay import OutboxRelay
from schemas.errors import SchemaError
from schemas.messages.validation import check_label
from stream.exchange.outgoing_record import make_record


@dataclass
class LearningReport:
    """What became of learning messages: sent = acknowledged + refused_messages + unanswered.

    Attributes:
        images: how many images the messages are of; augmented copies count as one with theirs.
        sent: messages put into the outbox, whether or not a broker was there.
        refused: maps an image's name to the reason, once for all its copies.
        unanswered: the image's name, for each message; they wait in the outbox.
        earlier: messages of former runs that were answered in this one.
        waiting: messages in the outbox at the end, former runs included.
    """

    images: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused_messages: int = 0
    value_bytes: int = 0
    message_bytes: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    earlier: int = 0
    waiting: int = 0


@dataclass
class DrainReport:
    """What became of messages that waited.

    Attributes:
        ended: how many were acknowledged, refused, answered or expired.
        refused: maps an image's name to the reason.
        predictions: what was answered to questions.
        expired: the images of questions that nobody answered in time.
        waiting: messages that are still in the outbox.
    """

    ended: dict[Kind, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    predictions: list[Prediction] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    waiting: int = 0

    def note(self, one: Settled) -> None:
        """Add a message that has left the outbox."""
        kind = one.outcome.kind
        self.ended[kind] = self.ended.get(kind, 0) + 1
        if kind == "refused":
            self.refused[one.name] = one.outcome.reason
        elif kind == "answered":
            self.predictions.append(read_prediction(one))
        elif kind == "expired":
            self.expired.append(one.name)


def check_labels(source: ImageSource, order: Iterable[int]) -> None:
    """Check that every image has a label that may be sent, before the first message leaves.

    Raises:
        ClientError: names the first image without one.
    """
    for index in order:
        label = source.label(index)
        if not label:
            raise ClientError(
                f"{source.name_of(index)} has no label, and the server learns from labelled images "
                "only: put it into a folder named after its class, or name one with --label"
            )
        try:
            check_label(label)
        except SchemaError as error:
            raise ClientError(f"{source.name_of(index)}: its {error}") from error


def publish(
    batches: Iterable[ImageBatch],
    maker: MessageMaker,
    relay: OutboxRelay,
    *,
    skipped: Sequence[Skipped] = (),
    timeout: float,
    on_progress: Progress,
) -> LearningReport:
    """Send labelled images to be learned from and wait until the server has stored them.

    The same images sent again are other messages, which the server stores again.

    Args:
        skipped: what could not be read; grows with the batches, and is kept for the status.
        timeout: seconds without any delivery or answer after which waiting ends.

    Raises:
        SchemaError: an image has no label; see ``check_labels``.
        ClientError: copies of one image would be noised.
        OutboxError: the outbox is full or cannot be written; what it took before is safe.
        StreamError: the broker refuses us or a message, or a message is too large.
    """
    run = _Run(maker, relay, skipped, timeout, on_progress)
    for batch in batches:
        run.put(batch)
        relay.work_on_full_disk(0)
        run.show()
    return run.finish()


def drain(
    relay: OutboxRelay, *, timeout: float, on_progress: Progress, report: DrainReport | None = None
) -> DrainReport:
    """Send what waits in the outbox, and wait until it is answered; see ``publish``.

    Args:
        report: of another outbox, to be continued.
    """
    report = report or DrainReport()
    outbox = relay.outbox
    waited = outbox.counts.waiting

    def note(settled: list[Settled]) -> None:
        for one in settled:
            report.note(one)
        on_progress(waited, waited - outbox.counts.waiting)

    relay.note = note
    relay.drain(timeout=timeout)
    report.waiting += outbox.counts.waiting
    return report


class _Run:
    """One run of ``publish``; it tells its own messages from those of former runs."""

    def __init__(
        self,
        maker: MessageMaker,
        relay: OutboxRelay,
        skipped: Sequence[Skipped],
        timeout: float,
        on_progress: Progress,
    ) -> None:
        self.report = LearningReport()
        self._maker = maker
        self._relay = relay
        self._skipped = skipped
        self._remarked = 0
        self._timeout = timeout
        self._on_progress = on_progress
        self._former = relay.outbox.counts.waiting
        self._last_of_former = relay.outbox.last_number
        relay.note = self._note

    def put(self, batch: ImageBatch) -> None:
        """Encode a batch and put its messages on the disk."""
        letters = []
        for message in self._maker.make(batch, "learning"):
            letters.append(make_record(message, self._maker.form, self._relay.reply_client.topics))
            self.report.value_bytes += len(message.value.data)
            self.report.message_bytes += len(letters[-1].value)
        try:
            self._relay.put(letters, batch.names, timeout=self._timeout)
        except OutboxFull as error:
            raise OutboxFull(
                f"{error}. Of this run it took {self.report.sent} messages; that of "
                f"{batch.names[0]} is the first that it did not take"
            ) from error
        self.report.images += batch.distinct
        self.report.sent += len(letters)
        self._remark_skipped()

    def finish(self) -> LearningReport:
        """Wait for the answers and return what became of all."""
        self._remark_skipped()
        self._relay.drain(timeout=self._timeout)
        outbox = self._relay.outbox
        self.report.unanswered = outbox.list_names(self._last_of_former)
        self.report.waiting = outbox.counts.waiting
        return self.report

    def show(self) -> None:
        """Tell the progress, former runs included."""
        total = self._former + self.report.sent
        self._on_progress(total, total - self._relay.outbox.counts.waiting)

    def _note(self, settled: list[Settled]) -> None:
        for one in settled:
            if one.number <= self._last_of_former:
                self.report.earlier += 1
            elif one.outcome.kind == "refused":
                self.report.refused_messages += 1
                self.report.refused[one.name] = one.outcome.reason
            else:
                self.report.acknowledged += 1
        self.show()

    def _remark_skipped(self) -> None:
        new = self._skipped[self._remarked :]
        self._relay.outbox.remark_skipped((one.name, one.reason) for one in new)
        self._remarked += len(new)

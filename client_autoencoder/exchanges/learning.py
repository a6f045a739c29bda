"""Sends labelled images to be learned from: encode, put on the disk, send, wait for the answers.

Messages that a previous run left in the outbox go first. Encoding goes on while the broker is away.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from client_autoencoder.errors import ClientError, OutboxFull
from client_autoencoder.exchanges.messages import MessageMaker, Progress
from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped
from client_autoencoder.outbox.entries import Settled
from client_autoencoder.outbox.relay import OutboxRelay
from schemas.errors import SchemaError
from schemas.messages.labels import check_label
from stream.exchange.outgoing_record import make_record


@dataclass
class LearningReport:
    """What became of messages: sent = acknowledged + refused_messages + delivered + unanswered.

    Attributes:
        images: how many images the messages are of; an image and its copies count once.
        sent: messages put into the outbox, whether or not a broker was there.
        delivered: messages that a broker took, where nobody waits for answers: whether the server
            stored or refused them is not known.
        refused: maps the name of an image to the reason, once for all its copies.
        unanswered: the image's name, for each message; they wait in the outbox.
        earlier: messages of previous runs that were answered in this one.
        waiting: messages in the outbox at the end, those of previous runs included.
        skipped: the images that could not be read.

    Example:
        >>> report = client.publish(images, labels)
        >>> report.sent, report.acknowledged, report.refused, report.waiting
        (30, 30, {}, 0)
    """

    images: int = 0
    sent: int = 0
    acknowledged: int = 0
    delivered: int = 0
    refused_messages: int = 0
    value_bytes: int = 0
    message_bytes: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    earlier: int = 0
    waiting: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all messages are where they were to go: stored, or taken by a broker."""
        return self.acknowledged + self.delivered == self.sent


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
    """Send labelled images to be learned from, and wait until the server has stored them.

    The same images published again are new messages, which the server stores again.

    Args:
        skipped: images that could not be read; grows with the batches, and is noted in the outbox.
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
        relay.poll_despite_full_disk(0)
        run.show_progress()
    return run.finish()


@dataclass
class _Run:
    """One run of ``publish``, which separates its own messages from those of previous runs."""

    maker: MessageMaker
    relay: OutboxRelay
    skipped: Sequence[Skipped]
    timeout: float
    on_progress: Progress
    report: LearningReport = field(default_factory=LearningReport)

    def __post_init__(self) -> None:
        self._outbox = self.relay.outbox
        self._earlier = self._outbox.counts.waiting
        self._last_earlier_number = self._outbox.last_number
        self._skipped_noted = 0
        self.relay.on_settled = self._add_settled

    def put(self, batch: ImageBatch) -> None:
        """Encode a batch and put its messages on the disk."""
        records = []
        for message in self.maker.make(batch, "learning"):
            records.append(make_record(message, self.maker.form, self.relay.reply_client.topics))
            self.report.value_bytes += len(message.value.data)
            self.report.message_bytes += len(records[-1].value)
        try:
            self.relay.put(records, batch.names, timeout=self.timeout)
        except OutboxFull as error:
            raise OutboxFull(
                f"{error}. Of this run it took {self.report.sent} messages; that of "
                f"{batch.names[0]} is the first that it did not take"
            ) from error
        self.report.images += batch.distinct
        self.report.sent += len(records)
        self._note_skipped()

    def finish(self) -> LearningReport:
        """Wait for the answers and return what became of all messages."""
        self._note_skipped()
        self.relay.drain(timeout=self.timeout)
        self.report.unanswered = self._outbox.list_names(self._last_earlier_number)
        self.report.waiting = self._outbox.counts.waiting
        return self.report

    def show_progress(self) -> None:
        """Report the progress, messages of previous runs included."""
        total = self._earlier + self.report.sent
        self.on_progress(total, total - self._outbox.counts.waiting)

    def _add_settled(self, settled: list[Settled]) -> None:
        for record in settled:
            if record.number <= self._last_earlier_number:
                self.report.earlier += 1
            elif record.outcome.kind == "refused":
                self.report.refused_messages += 1
                self.report.refused[record.name] = record.outcome.reason
            elif record.outcome.kind == "sent":
                self.report.delivered += 1
            else:
                self.report.acknowledged += 1
        self.show_progress()

    def _note_skipped(self) -> None:
        new = self.skipped[self._skipped_noted :]
        self._outbox.note_skipped((image.name, image.reason) for image in new)
        self._skipped_noted += len(new)

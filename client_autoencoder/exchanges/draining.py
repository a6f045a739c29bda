"""Sends what waits in an outbox and waits for the answers; makes no new messages."""

from dataclasses import dataclass, field

from client_autoencoder.exchanges.messages import Progress
from client_autoencoder.exchanges.service import Prediction, read_prediction
from client_autoencoder.outbox.entries import Kind, Settled
from client_autoencoder.outbox.relay import OutboxRelay


@dataclass
class DrainReport:
    """What became of messages that waited.

    Attributes:
        ended: how many were acknowledged, refused, answered or expired.
        refused: maps the name of an image to the reason.
        predictions: the answers to questions.
        expired: the images of questions that nobody answered in time.
        waiting: messages that are still in the outbox.
    """

    ended: dict[Kind, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    predictions: list[Prediction] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    waiting: int = 0

    def add(self, record: Settled) -> None:
        """Add a record that has left the outbox."""
        kind = record.outcome.kind
        self.ended[kind] = self.ended.get(kind, 0) + 1
        if kind == "refused":
            self.refused[record.name] = record.outcome.reason
        elif kind == "answered":
            self.predictions.append(read_prediction(record))
        elif kind == "expired":
            self.expired.append(record.name)


def drain(
    relay: OutboxRelay, *, timeout: float, on_progress: Progress, report: DrainReport | None = None
) -> DrainReport:
    """Send what waits in the outbox, and wait until it is answered.

    Args:
        timeout: seconds without any delivery or answer after which waiting ends.
        report: that of another outbox, to be continued.

    Raises:
        OutboxError: the outbox cannot be written.
        StreamError: the broker refuses us or a message.
    """
    report = report or DrainReport()
    outbox = relay.outbox
    total = outbox.counts.waiting

    def add(settled: list[Settled]) -> None:
        for record in settled:
            report.add(record)
        on_progress(total, total - outbox.counts.waiting)

    relay.on_settled = add
    relay.drain(timeout=timeout)
    report.waiting += outbox.counts.waiting
    return report

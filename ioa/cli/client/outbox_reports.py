"""What the commands about an outbox print: lines for people, or one JSON object."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ioa.cli.printing import print_json

if TYPE_CHECKING:
    from client_autoencoder.exchanges.draining import DrainReport
    from client_autoencoder.exchanges.service import Prediction
    from client_autoencoder.outbox.reading import OutboxStatus, Remark

_MEANINGS = {
    "encoded": "messages made since the outbox was",
    "queued": "wait for a broker",
    "delivered": "wait for the server's answer",
    "acknowledged": "stored by the server",
    "answered": "questions with a reply",
    "sent": "taken by a broker; sent without waiting for answers, refusals are not seen",
    "expired": "questions without a reply in time",
    "discarded": "dropped by `ioa outbox discard`",
    "resent": "sent once more because no answer came",
}
_ALWAYS = ("encoded", "queued", "delivered", "acknowledged")


def print_status(client_id: str, directory: Path, status: "OutboxStatus", as_json: bool) -> None:
    """Print what a client's outboxes have seen; refusals and skipped files by their reason."""
    if as_json:
        named = {"client_id": client_id, "outbox": str(directory)}
        print_json(named | asdict(status))
        return
    since = f", the oldest since {status.oldest}" if status.oldest else ""
    typer.echo(f"client {client_id}, outbox {directory}{since}")
    for name, meaning in _MEANINGS.items():
        count = getattr(status, name)
        if count or name in _ALWAYS:
            typer.echo(f"{name:<13}{count:>9,}  {meaning}")
    _print_reasons("refused", status.refused, status.refusals)
    _print_reasons("skipped", status.skipped, status.skipped_files)


def describe_message(message: dict[str, Any]) -> str:
    """Return one line about a message that waits."""
    return (
        f"{message['message_id']}  {message['state']:<9}  {message['made_at']}  "
        f"{message['topic']}  {message['bytes']} bytes  {message['name']}"
    )


def print_drained(directory: Path, report: "DrainReport", as_json: bool) -> None:
    """Print what became of the messages that waited; refusals on standard error."""
    for name, reason in report.refused.items():
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if as_json:
        print_json(asdict(report) | {"outbox": str(directory)})
        return
    print_predictions(report.predictions, report.expired)
    ended = ", ".join(f"{kind} {count}" for kind, count in report.ended.items())
    typer.echo(f"{ended or 'nothing was answered'}; {report.waiting} wait in {directory}")
    if report.waiting:
        typer.echo(NOBODY_ANSWERS, err=True)


def print_predictions(predictions: "Iterable[Prediction]", expired: Iterable[str]) -> None:
    """Print the answer about each image, or that there is none."""
    for prediction in predictions:
        typer.echo(_describe(prediction))
    for name in expired:
        typer.echo(f"{name}: expired without a reply")


NOBODY_ANSWERS = (
    "no answer in time: is the broker there, and `ioa server run` running? "
    "`ioa outbox drain` tries again"
)


def _print_reasons(what: str, count: int, remarks: "list[Remark]") -> None:
    typer.echo(f"{what:<13}{count:>9,}")
    for reason, times in Counter(remark.reason for remark in remarks).most_common():
        example = next(remark.name for remark in remarks if remark.reason == reason)
        typer.echo(f"{times:>22,}  {reason} ({example}{' ...' if times > 1 else ''})")


def _describe(prediction: "Prediction") -> str:
    if prediction.error is not None:
        return f"{prediction.name}: no answer: {prediction.error}"
    if prediction.probability is None:  # a server that says no more than the paper
        return f"{prediction.name}: {prediction.label}"
    return (
        f"{prediction.name}: {prediction.label} "
        f"({prediction.probability:.1%}, model {prediction.model_version})"
    )

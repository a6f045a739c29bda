"""What ``ioa client publish`` and ``ask`` print: lines for people, or one JSON object."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.cli.client.images import print_skipped
from ioa.cli.client.outbox_reports import NOBODY_ANSWERS, print_predictions
from ioa.cli.printing import print_json

if TYPE_CHECKING:
    from client_autoencoder.exchanges.learning import LearningReport
    from client_autoencoder.exchanges.service import Prediction, ServiceReport


def print_learning(report: "LearningReport", outbox: Path, as_json: bool) -> None:
    """Print what became of learning messages; skipped and refused images on standard error."""
    print_skipped(report.skipped)
    for name, reason in report.refused.items():
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if as_json:
        print_json(asdict(report))
        return
    size = report.value_bytes // max(report.sent, 1)
    typer.echo(
        f"sent {_count_sent(report)}, acknowledged {report.acknowledged}, "
        f"refused {report.refused_messages}, unanswered {len(report.unanswered)}, "
        f"skipped {len(report.skipped)}; {size} bytes a latent"
    )
    if report.delivered:
        typer.echo(
            f"{report.delivered} messages were taken by a broker; whether the server stored or "
            "refused them is not seen without answers"
        )
    if report.earlier:
        typer.echo(f"{report.earlier} messages of former runs were answered")
    if report.waiting:
        typer.echo(f"{report.waiting} messages wait in {outbox}; {NOBODY_ANSWERS}", err=True)


def print_service(report: "ServiceReport", as_json: bool) -> None:
    """Print the answer about each image; skipped images on standard error."""
    print_skipped(report.skipped)
    if as_json:
        print_json(asdict(report))
        return
    print_predictions(report.predictions, report.expired)
    if report.at_home:
        typer.echo(_describe_exit(report))
    if report.earlier or report.earlier_expired:
        typer.echo("questions of former runs:")
        print_predictions(report.earlier, report.earlier_expired)
    if report.waiting:
        typer.echo(f"{report.waiting} questions of former runs still have time", err=True)
    if report.expired:
        typer.echo(
            f"{len(report.expired)} expired without a reply: is `ioa server infer` running?"
            + (" The images after them were not asked about" if report.stopped else ""),
            err=True,
        )


def _describe_exit(report: "ServiceReport") -> str:
    """Say how much the local exit answered, and how often it was right where that is known."""
    share = report.at_home / (report.sent + report.at_home)
    lines = [
        f"{report.at_home} images ({share:.0%}) answered at home, {report.sent} asked; "
        f"{report.saved_bytes:,} bytes of values not sent"
    ]
    at_home = [answer for answer in report.answered if answer.at_home]
    rates = [_rate(answers) for answers in (at_home, report.answered)]
    if None not in rates:
        lines.append(f"right at home: {rates[0]:.1%}, of all answers: {rates[1]:.1%}")
    return "\n".join(lines)


def _rate(answers: "Sequence[Prediction]") -> float | None:
    """Return the share of right answers; None where a true label is unknown."""
    if not answers or any(answer.true_label is None for answer in answers):
        return None
    return sum(answer.label == answer.true_label for answer in answers) / len(answers)


def _count_sent(report: "LearningReport") -> str:
    if report.sent == report.images:
        return str(report.sent)
    return f"{report.sent} messages of {report.images} images"

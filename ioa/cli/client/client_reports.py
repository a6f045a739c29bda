"""What ``ioa client publish`` and ``ask`` print: lines for people, or one JSON object."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.cli.client.images import print_skipped
from ioa.cli.client.outbox_reports import NOBODY_ANSWERS, print_predictions
from ioa.cli.printing import print_json

if TYPE_CHECKING:
    from client_autoencoder.exchanges.learning import LearningReport
    from client_autoencoder.exchanges.service import ServiceReport


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


def _count_sent(report: "LearningReport") -> str:
    if report.sent == report.images:
        return str(report.sent)
    return f"{report.sent} messages of {report.images} images"

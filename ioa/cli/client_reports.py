"""What ``ioa client`` prints in the end: lines for people, or one JSON object."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.cli.outbox_reports import NOBODY_ANSWERS

if TYPE_CHECKING:
    from client_autoencoder.images import Skipped
    from client_autoencoder.publishing import LearningReport
    from client_autoencoder.sending import Prediction, ServiceReport


def print_learning(
    report: "LearningReport", skipped: list["Skipped"], outbox: Path, as_json: bool
) -> None:
    """Print what became of learning messages; skipped and refused images on standard error."""
    _print_skipped(skipped)
    for name, reason in report.refused.items():
        print(f"refused: {name}: {reason}", file=sys.stderr)
    if as_json:
        _print_json(report, skipped)
        return
    size = report.value_bytes // max(report.sent, 1)
    typer.echo(
        f"sent {_count_sent(report)}, acknowledged {report.acknowledged}, "
        f"refused {report.refused_messages}, unanswered {len(report.unanswered)}, "
        f"skipped {len(skipped)}; {size} bytes a latent"
    )
    if report.earlier:
        typer.echo(f"{report.earlier} messages of former runs were answered")
    if report.waiting:
        typer.echo(f"{report.waiting} messages wait in {outbox}; {NOBODY_ANSWERS}", err=True)


def print_service(report: "ServiceReport", skipped: list["Skipped"], as_json: bool) -> None:
    """Print the answer about each image; skipped images on standard error."""
    _print_skipped(skipped)
    if as_json:
        _print_json(report, skipped)
        return
    for one in report.predictions:
        typer.echo(_describe(one))
    if report.unanswered:
        typer.echo(
            f"{len(report.unanswered)} without a reply in time: is `ioa server infer` running?",
            err=True,
        )


def _print_json(report: "LearningReport | ServiceReport", skipped: list["Skipped"]) -> None:
    typer.echo(json.dumps(asdict(report) | {"skipped": [asdict(one) for one in skipped]}))


def _print_skipped(skipped: list["Skipped"]) -> None:
    for one in skipped:
        print(f"skipped: {one.name}: {one.reason}", file=sys.stderr)


def _count_sent(report: "LearningReport") -> str:
    if report.sent == report.images:
        return str(report.sent)
    return f"{report.sent} messages of {report.images} images"


def _describe(prediction: "Prediction") -> str:
    if prediction.error is not None:
        return f"{prediction.name}: no answer: {prediction.error}"
    return (
        f"{prediction.name}: {prediction.label} "
        f"({prediction.probability:.1%}, model {prediction.model_version})"
    )

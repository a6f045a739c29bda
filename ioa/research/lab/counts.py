"""What the clients' reports add up to, and whether anything was lost."""

from typing import Any

from ioa.errors import ProcessFailed

Report = dict[str, Any]
"""What a command prints with --json."""


def total(reports: list[Report], name: str) -> int:
    """Return the sum of a count over the clients' reports."""
    return sum(int(report[name]) for report in reports)


def list_predictions(reports: list[Report]) -> list[Report]:
    """Return the predictions in the clients' reports."""
    return [prediction for report in reports for prediction in report["predictions"]]


def count_sent(reports: list[Report], stored: int) -> Report:
    """Return how many latents were sent, acknowledged and stored, and the mean sizes in bytes."""
    sent = total(reports, "sent")
    return {
        "sent": sent,
        "acknowledged": total(reports, "acknowledged"),
        "stored": stored,
        "latent_bytes": total(reports, "value_bytes") // max(sent, 1),
        "message_bytes": total(reports, "message_bytes") // max(sent, 1),
    }


def check_stored(reports: list[Report], record: Report) -> None:
    """Raise ProcessFailed unless every latent that was sent is stored; says why it is not."""
    if record["sent"] == record["acknowledged"] == record["stored"]:
        return
    reasons = [reason for report in reports for reason in report["refused"].values()]
    raise ProcessFailed(
        f"{record['sent']} latents were sent and {record['stored']} stored; refused: "
        f"{reasons[0] if reasons else 'none, some were not answered in time'}"
    )


def check_answered(predictions: list[Report], asked: int) -> None:
    """Raise ProcessFailed unless every image has an answer; says why it has none."""
    errors = [reply["error"] for reply in predictions if reply["error"] is not None]
    if errors or len(predictions) != asked:
        raise ProcessFailed(
            f"{asked} images were asked about and {len(predictions) - len(errors)} answered; "
            f"errors: {errors[0] if errors else 'none'}"
        )

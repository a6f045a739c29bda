"""What ``ioa dataset`` prints: datasets, changes of their latents, and how two differ."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import typer

if TYPE_CHECKING:
    from server_classifier.store.datasets.catalogue import Dataset, Difference
    from server_classifier.store.datasets.members import MemberSummary, Stated

_DIGITS_SHOWN = 12
_IDS_SHOWN = 5


def describe_dataset(dataset: "Dataset") -> str:
    """Return the lines about a dataset that every command prints first."""
    facts = {
        "dataset": dataset.name,
        "latents": f"{dataset.rows:,}",
        "digest": dataset.digest,
        "selection": _describe_selection(dataset),
        "made": dataset.created_at.isoformat(timespec="seconds"),
    }
    return "\n".join(f"{name:<11}{value}" for name, value in facts.items())


def to_json(dataset: "Dataset") -> dict[str, Any]:
    """Return a dataset as a JSON object."""
    return {
        "name": dataset.name,
        "rows": dataset.rows,
        "digest": dataset.digest,
        "selection": orjson.loads(dataset.selection),
        "created_at": dataset.created_at.isoformat(timespec="seconds"),
    }


def shorten(dataset: "Dataset") -> dict[str, Any]:
    """Return a dataset as a row of a table."""
    return {
        "name": dataset.name,
        "latents": f"{dataset.rows:,}",
        "digest": dataset.digest[:_DIGITS_SHOWN],
        "made": f"{dataset.created_at:%Y-%m-%d %H:%M}",
        "selection": _describe_selection(dataset),
    }


def print_summary(dataset: "Dataset", summary: "MemberSummary") -> None:
    """Print a dataset, its latents by what they state, and those that are gone or changed."""
    typer.echo(describe_dataset(dataset))
    for field, by_value in _count_by_field(summary.counts).items():
        counts = ", ".join(f"{value} {count:,}" for value, count in by_value.items())
        typer.echo(f"{field:<11}{counts}")
    for what, message_ids in (("gone", summary.gone), ("changed", summary.changed)):
        if message_ids:
            typer.echo(f"{len(message_ids):,} latents are {what}: {_name_first(message_ids)}")
    if summary.digest != dataset.digest:
        typer.echo(f"the list itself is damaged: its digest is now {summary.digest}")
    elif not summary.gone and not summary.changed:
        typer.echo("all latents are there, as they were")


def summary_to_json(dataset: "Dataset", summary: "MemberSummary") -> dict[str, Any]:
    """Return the same as one JSON object."""
    return {
        **to_json(dataset),
        "digest_now": summary.digest,
        "counts": _count_by_field(summary.counts),
        "gone": {"rows": len(summary.gone), "first": summary.gone[:_IDS_SHOWN]},
        "changed": {"rows": len(summary.changed), "first": summary.changed[:_IDS_SHOWN]},
    }


def print_difference(
    first: str, second: str, parts: "Difference", counts: "Sequence[Counter[Stated]]"
) -> None:
    """Print in which latents two datasets differ."""
    words = (f"only in {first}", f"only in {second}", "in both, but changed between")
    for what, message_ids, stated in zip(words, parts, counts, strict=True):
        typer.echo(f"{len(message_ids):,} {what}")
        if not message_ids:
            continue
        for (site, label), count in _count_by_site_and_label(stated).items():
            typer.echo(f"    {site}, {label}: {count:,}")
        if missing := len(message_ids) - stated.total():
            typer.echo(f"    no longer in the database: {missing:,}")
        typer.echo(f"    {_name_first(message_ids)}")


def difference_to_json(
    parts: "Difference", counts: "Sequence[Counter[Stated]]"
) -> dict[str, dict[str, Any]]:
    """Return the same as one JSON object."""
    return {
        what: {
            "rows": len(message_ids),
            "first": message_ids[:_IDS_SHOWN],
            "gone": len(message_ids) - stated.total(),
            "counts": [
                {"site": site, "label": label, "rows": count}
                for (site, label), count in _count_by_site_and_label(stated).items()
            ],
        }
        for (what, message_ids), stated in zip(parts._asdict().items(), counts, strict=True)
    }


def _describe_selection(dataset: "Dataset") -> str:
    stated = orjson.loads(dataset.selection)
    parts = [
        f"{field} {', '.join(value) if isinstance(value, list) else value}"
        for field, value in stated.items()
    ]
    return "; ".join(parts) or "all"


def _count_by_field(counts: "Counter[Stated]") -> dict[str, dict[str, int]]:
    """Return for each field how many latents have each value, in the order of the values."""
    fields: dict[str, Counter[str]] = {}
    for stated, count in counts.items():
        for field, value in stated._asdict().items():
            fields.setdefault(field, Counter())[value] += count
    return {field: dict(sorted(by_value.items())) for field, by_value in fields.items()}


def _count_by_site_and_label(counts: "Counter[Stated]") -> Mapping[tuple[str, str], int]:
    both: Counter[tuple[str, str]] = Counter()
    for stated, count in counts.items():
        both[stated.site, stated.label] += count
    return dict(sorted(both.items()))


def _name_first(message_ids: Sequence[str]) -> str:
    more = ", ..." if len(message_ids) > _IDS_SHOWN else ""
    return ", ".join(message_ids[:_IDS_SHOWN]) + more

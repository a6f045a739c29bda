"""What the commands of studies print."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ioa.cli.printing import print_rows

if TYPE_CHECKING:
    from ioa.research.reporting.conditions import Conditions
    from ioa.research.studies.comparison import Comparison, Effect
    from ioa.research.studies.plan import Study


def describe_study(study: "Study") -> dict[str, Any]:
    """Return a study in one row."""
    done = study.records.values()
    best = max((record.scores.accuracy for record in done if record.scores), default=None)
    return {
        "study": study.name,
        "datasets": ", ".join(study.plan.config.datasets),
        "trials": len(study.plan.list_trials()),
        "done": len(done),
        "failed": sum(record.failure is not None for record in done),
        "best trial": None if best is None else f"{best:.2%}",
    }


def study_to_json(study: "Study") -> dict[str, Any]:
    """Return a study and the rows of its table for machines."""
    from ioa.research.studies.summary import summarise_study
    from ioa.research.studies.table import list_conditions

    return {
        **study.plan.model_dump(mode="json"),
        "rows": [row.to_json() for row in summarise_study(study)],
        "conditions": [conditions.model_dump() for conditions in list_conditions(study)],
    }


def warn_of_others(found: "Sequence[Conditions]", folder: Path) -> None:
    """Say on standard error how many trainings were made with other versions than now."""
    from ioa.research.reporting.conditions import describe_others

    if line := describe_others(found, folder):
        typer.echo(line, err=True)


def print_comparison(comparison: "Comparison") -> None:
    """Print what changed, and then what it did."""
    changes = [change._asdict() for change in comparison.changes]
    print_rows(changes, False, empty="nothing changed: settings, data and conditions are the same")
    typer.echo("\naccuracy in %, mean ± standard deviation over trials:")
    print_rows([*map(_describe, comparison.effects)], False, empty="")
    if left_out := sum(effect.left_out for effect in comparison.effects):
        typer.echo(f"{left_out} trials without a counterpart are left out")
    for which, rows in (("first", comparison.only_first), ("second", comparison.only_second)):
        for names in rows:
            typer.echo(f"only in the {which}: {', '.join(names.values())}")


def _describe(effect: "Effect") -> dict[str, str]:
    from ioa.research.reporting.spread import format_spread

    difference = effect.differences.get("accuracy")
    return {
        "row": ", ".join(name for name in effect.first.names.values() if name),
        "first": format_spread(effect.first.summarise("accuracy"), 2, percent=True),
        "second": format_spread(effect.second.summarise("accuracy"), 2, percent=True),
        "difference": format_spread(difference, 2, percent=True),
        "pairs": str(difference.n) if effect.paired and difference else "none",
        "better in": "" if effect.better is None else str(effect.better),
    }

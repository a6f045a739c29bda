"""All seeds of an experiment, and the one result that they make."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from ioa.research.lab.plan import PaperPlan
from ioa.research.lab.story import Story
from ioa.research.reporting.conditions import read_conditions
from ioa.research.reporting.results import Figures
from ioa.research.reporting.spread import summarise

_PACKAGES = ("internet-of-autoencoders", "matplotlib", "numpy", "onnx", "onnxruntime", "torch")


@dataclass(frozen=True)
class SeedResult:
    """The result of one seed: figures for the tables, the record of the run, facts of the data."""

    tables: Figures
    record: Figures
    facts: Figures


Result = TypeVar("Result", bound=SeedResult)


def run_seeds(
    plan: PaperPlan,
    directory: Path,
    story: Story,
    run_seed: Callable[[int, Path, Path | None], Result],
    *,
    keep: bool,
    replayed: Path | None,
) -> list[Result]:
    """Run every seed in a directory of its own.

    Args:
        run_seed: takes the seed, its directory, and that of the same seed in an earlier run whose
            messages are replayed.
        keep: whether the directories stay.
        replayed: what the earlier run has kept.
    """
    results = []
    for seed in range(plan.seeds):
        story.tell(f"[bold]{plan.name}, seed {seed}[/] ({seed + 1} of {plan.seeds})")
        own = f"seed-{seed}"
        results.append(run_seed(seed, directory / own, replayed and replayed / own))
        if not keep:
            shutil.rmtree(directory / own)
    return results


def make_result(
    plan: PaperPlan,
    results: Sequence[SeedResult],
    now: datetime,
    story: Story,
    *,
    replayed: Path | None,
) -> Figures:
    """Return what is written: the plan, mean and spread of all figures, every seed, conditions."""
    conditions = read_conditions(_PACKAGES)
    return {
        "experiment": plan.experiment,
        "name": plan.name if replayed is None else f"{plan.name}-replayed",
        "plan": plan.describe(),
        "data": results[0].facts,
        "tables": summarise([result.tables for result in results]),
        "seeds": [result.tables | result.record for result in results],
        "conditions": {
            "date": now.date().isoformat(),
            "seconds": round(story.seconds, 1),
            "machine": conditions.machine,
            "versions": conditions.versions,
        },
    }

"""The experiment by Salehinejad et al.: all its seeds, and one result of them."""

import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from ioa.research.lab.consortium import Consortium
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.story import Story
from ioa.research.lab.working_directory import working_directory
from ioa.research.papers.one_shot_latents.figure import Samples
from ioa.research.papers.one_shot_latents.grid import GRID, VALIDATION, Row, choose, search_grid
from ioa.research.papers.one_shot_latents.plan import EXPERIMENT, Plan
from ioa.research.papers.one_shot_latents.replayed import check_kept
from ioa.research.papers.one_shot_latents.seed import prepare, run_seed
from ioa.research.papers.one_shot_latents.services import encoder_trainings
from ioa.research.reporting.conditions import read_conditions
from ioa.research.reporting.results import Figures
from ioa.research.reporting.spread import summarise

_PACKAGES = ("internet-of-autoencoders", "matplotlib", "numpy", "onnx", "onnxruntime", "torch")


def run_experiment(
    plan: Plan, keep: Path | None, now: datetime, story: Story, *, replayed: Path | None = None
) -> tuple[Figures, Samples]:
    """Run all seeds; return the result and the pictures of the first seed.

    Args:
        keep: a new directory for the files of all processes; without it they are removed.
        replayed: what an earlier run has kept; its messages are replayed instead of new ones.

    Raises:
        ClientError: the images cannot be used.
        SettingsError: what was kept is of another plan.
        StreamError: the broker does not start.
        ProcessFailed: a process failed, or a message was lost.
    """
    if replayed is not None:
        check_kept(plan, replayed)
    with working_directory(keep, "ioa-experiment-") as directory:
        rows = _search(plan, directory / "grid", story) if plan.grid else []
        training = choose(plan.training, rows[0]) if rows else plan.training
        results = []
        for seed in range(plan.seeds):
            story.tell(f"[bold]{plan.name}, seed {seed}[/] ({seed + 1} of {plan.seeds})")
            kept = None if replayed is None else replayed / f"seed-{seed}"
            results.append(
                run_seed(plan, seed, directory / f"seed-{seed}", training, story, kept=kept)
            )
            if keep is None:
                shutil.rmtree(directory / f"seed-{seed}")
    conditions = read_conditions(_PACKAGES)
    result = {
        "experiment": EXPERIMENT,
        "name": plan.name if replayed is None else f"{plan.name}-replayed",
        "plan": asdict(plan) | {"data": plan.source},
        "data": results[0].facts,
        "training": training.model_dump(),
        "grid": {"validation": VALIDATION, "rows": rows} if rows else None,
        "tables": summarise([result.tables for result in results]),
        "seeds": [result.tables | result.record for result in results],
        "conditions": {
            "date": now.date().isoformat(),
            "seconds": round(story.seconds, 1),
            "machine": conditions.machine,
            "versions": conditions.versions,
        },
    }
    return result, results[0].samples


def _search(plan: Plan, directory: Path, story: Story) -> list[Row]:
    """Search the grid once, on the division of seed 0 and with the plan's encoder."""
    division = prepare(plan, 0, directory)
    deployment = Deployment(directory, local_settings(directory))
    (training,) = encoder_trainings(plan, 0)
    process = Consortium(directory, deployment, story, plan.clients).start_training(training)
    with story.wait("training the encoder for the grid search"):
        deployment.finish(training.out, process)
    with story.wait("searching the grid") as show:
        rows = search_grid(
            *(plan, division.parts.clients, directory, training.out), lambda done, _: show(done)
        )
    best = {name: rows[0][name] for name in GRID}
    story.tell(f"best of {len(rows)} choices on the validation split: {best}")
    return rows

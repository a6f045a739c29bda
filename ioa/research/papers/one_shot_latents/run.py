"""The third seed's experiment: all its seeds, and one result of them."""

import platform
import shutil
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from ioa.research.lab.consortium import Consortium
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.story import Story
from ioa.research.lab.working_directory import working_directory
from ioa.research.papers.one_shot_latents.figure import Samples
from ioa.research.papers.one_shot_latents.grid import VALIDATION, Row, search_grid
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.papers.one_shot_latents.replayed import check_kept
from ioa.research.papers.one_shot_latents.seed import SeedResult, prepare, run_seed
from ioa.research.papers.one_shot_latents.services import encoder_trainings
from ioa.research.papers.one_shot_latents.tables import Figures, summarise
from server_classifier.heads.settings import TrainingSettings

_PACKAGES = ("internet-of-autoencoders", "matplotlib", "numpy", "onnx", "onnxruntime", "torch")


def run_experiment(
    plan: Plan, keep: Path | None, now: datetime, story: Story, *, replayed: Path | None = None
) -> tuple[Figures, Samples]:
    """Run all seeds; return the result and the pictures of the first seed.

    Args:
        keep: a new directory for what the processes leave; without it that is removed.
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
        training = _choose_training(plan, rows)
        results = []
        for seed in range(plan.seeds):
            story.tell(f"[bold]{plan.name}, seed {seed}[/] ({seed + 1} of {plan.seeds})")
            kept = None if replayed is None else replayed / f"seed-{seed}"
            results.append(
                run_seed(plan, seed, directory / f"seed-{seed}", training, story, kept=kept)
            )
            if keep is None:
                shutil.rmtree(directory / f"seed-{seed}")
    name = plan.name if replayed is None else f"{plan.name}-replayed"
    return _conclude(plan, name, training, rows, results, now, story), results[0].samples


def _conclude(
    plan: Plan,
    name: str,
    training: TrainingSettings,
    rows: list[Row],
    results: list[SeedResult],
    now: datetime,
    story: Story,
) -> Figures:
    return {
        "experiment": "003",
        "name": name,
        "plan": asdict(plan) | {"data": plan.source},
        "data": results[0].facts,
        "training": training.model_dump(),
        "grid": {"validation": VALIDATION, "rows": rows} if rows else None,
        "tables": summarise([result.tables for result in results]),
        "seeds": [result.tables | result.record for result in results],
        "conditions": {
            "date": now.date().isoformat(),
            "seconds": round(story.seconds, 1),
            "machine": f"{platform.machine()}, {platform.system()}",
            "versions": {"python": platform.python_version()}
            | {package: version(package) for package in _PACKAGES},
        },
    }


def _search(plan: Plan, directory: Path, story: Story) -> list[Row]:
    """Search the grid once, on the division of seed 0 and with the plan's encoder."""
    division = prepare(plan, 0, directory)
    deployment = Deployment(directory, local_settings(directory))
    (training,) = encoder_trainings(plan, 0)
    process = Consortium(directory, deployment, story).start_training(training)
    with story.wait("training the encoder for the grid search"):
        deployment.finish(training.out, process)
    with story.wait("searching the grid") as show:
        rows = search_grid(plan, division.parts.clients, directory / training.out, show)
    best = {name: value for name, value in rows[0].items() if name != "accuracy"}
    story.tell(f"best of {len(rows)} choices on the validation split: {best}")
    return rows


def _choose_training(plan: Plan, rows: list[Row]) -> TrainingSettings:
    """Return the plan's settings, with what the best row of a grid changes in them."""
    best = {name: rows[0][name] for name in rows[0] if name != "accuracy"} if rows else {}
    return plan.training.model_copy(update=best)

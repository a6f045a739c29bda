"""The experiment by Salehinejad et al.: all its seeds, and one result of them."""

from datetime import datetime
from pathlib import Path

from ioa.research.lab.consortium import Consortium
from ioa.research.lab.deployment import Deployment, local_settings
from ioa.research.lab.replayed import check_kept
from ioa.research.lab.seeds import make_result, run_seeds
from ioa.research.lab.story import Story
from ioa.research.lab.working_directory import working_directory
from ioa.research.papers.one_shot_latents.figure import draw_samples
from ioa.research.papers.one_shot_latents.grid import GRID, VALIDATION, Row, choose, search_grid
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.papers.one_shot_latents.seed import Measured, prepare, run_seed
from ioa.research.papers.one_shot_latents.services import encoder_trainings
from ioa.research.reporting.results import Figures


def run_experiment(
    plan: Plan, keep: Path | None, now: datetime, story: Story, *, replayed: Path | None = None
) -> tuple[Figures, bytes]:
    """Run all seeds; return the result, and the pictures of the first seed as PNG.

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

        def run_one(seed: int, own: Path, kept: Path | None) -> Measured:
            return run_seed(plan, seed, own, training, story, kept=kept)

        results = run_seeds(
            *(plan, directory, story, run_one), keep=keep is not None, replayed=replayed
        )
    result = make_result(plan, results, now, story, replayed=replayed) | {
        "training": training.model_dump(),
        "grid": {"validation": VALIDATION, "rows": rows} if rows else None,
    }
    return result, draw_samples(results[0].samples)


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

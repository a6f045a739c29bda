"""The experiment on early exits: all its seeds, and one result of them."""

from datetime import datetime
from pathlib import Path

from ioa.research.lab.replayed import check_kept
from ioa.research.lab.seeds import SeedResult, make_result, run_seeds
from ioa.research.lab.story import Story
from ioa.research.lab.working_directory import working_directory
from ioa.research.papers.early_exit.figure import draw_courses
from ioa.research.papers.early_exit.plan import Plan
from ioa.research.papers.early_exit.seed import run_seed
from ioa.research.reporting.results import Figures


def run_experiment(
    plan: Plan, keep: Path | None, now: datetime, story: Story, *, replayed: Path | None = None
) -> tuple[Figures, bytes]:
    """Run all seeds; return the result, and its figure as PNG.

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

    def run_one(seed: int, own: Path, kept: Path | None) -> SeedResult:
        return run_seed(plan, seed, own, story, kept=kept)

    with working_directory(keep, "ioa-experiment-") as directory:
        results = run_seeds(
            *(plan, directory, story, run_one), keep=keep is not None, replayed=replayed
        )
    result = make_result(plan, results, now, story, replayed=replayed)
    result["training"] = plan.training.model_dump()
    return result, draw_courses(result)

"""The papers by the number of their experiment: its plans, how it is run, and what it prints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ioa.research.lab.plan import PaperPlan
from ioa.research.lab.story import Story
from ioa.research.papers.early_exit import page as early_exit_page
from ioa.research.papers.early_exit import plan as early_exit_plan
from ioa.research.papers.early_exit import run as early_exit_run
from ioa.research.papers.one_shot_latents import page as one_shot_page
from ioa.research.papers.one_shot_latents import plan as one_shot_plan
from ioa.research.papers.one_shot_latents import run as one_shot_run
from ioa.research.reporting.results import Figures


class Run(Protocol):
    """Runs all seeds of a plan; returns the result and its figure as PNG."""

    def __call__(
        self,
        plan: Any,
        keep: Path | None,
        now: datetime,
        story: Story,
        *,
        replayed: Path | None = None,
    ) -> tuple[Figures, bytes]:
        """Run."""
        ...


@dataclass(frozen=True)
class Paper:
    """One paper's experiment.

    Attributes:
        plans: of ``ioa experiment tables``.
        render_page: makes the Markdown page of a result.
        render_summary: makes a table of several results, as Markdown.
    """

    plans: Sequence[PaperPlan]
    run: Run
    render_page: Callable[[Figures], str]
    render_summary: Callable[[Sequence[Figures]], str]


PAPERS: dict[str, Paper] = {
    early_exit_plan.Plan.experiment: Paper(
        early_exit_plan.PLANS,
        early_exit_run.run_experiment,
        early_exit_page.render_page,
        early_exit_page.render_summary,
    ),
    one_shot_plan.Plan.experiment: Paper(
        one_shot_plan.PLANS,
        one_shot_run.run_experiment,
        one_shot_page.render_page,
        one_shot_page.render_summary,
    ),
}

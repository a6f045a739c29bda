"""A study on disk: its plan, ``study.json``, and the records of its trials beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from ioa.errors import StudyError
from ioa.research.reporting.records import read_record, read_records
from ioa.research.studies.configuration import StudyConfig
from ioa.research.studies.trials import DatasetFacts, Trial, TrialRecord, list_trials

PLAN = "study.json"


class StudyPlan(BaseModel, frozen=True, extra="forbid"):
    """A study's configuration and the facts of its datasets when it ran last."""

    format: Literal["ioa-study/1"] = "ioa-study/1"
    config: StudyConfig
    datasets: tuple[DatasetFacts, ...]

    def list_trials(self) -> list[Trial]:
        """Return all trials, done or not."""
        return list_trials(self.config, self.datasets)


@dataclass(frozen=True, slots=True)
class Study:
    """A plan and the existing records of its trials, by id."""

    plan: StudyPlan
    records: dict[str, TrialRecord]

    @property
    def name(self) -> str:
        """The name in its configuration."""
        return self.plan.config.name


def read_study(out: Path, name: str) -> Study:
    """Read a study, finished or not. Raises StudyError: it does not exist, or is damaged."""
    folder = out / name
    if not (folder / PLAN).is_file():
        known = ", ".join(_list_names(out)) or "none at all"
        raise StudyError(f"there is no study {name} in {out}; there is {known}")
    plan = read_record(StudyPlan, folder / PLAN)
    ids = [trial.id for trial in plan.list_trials()]
    return Study(plan, read_records(TrialRecord, folder, ids))


def list_studies(out: Path) -> tuple[list[Study], list[StudyError]]:
    """Return all studies of a folder by name, and the errors of those that are damaged."""
    studies, errors = [], []
    for name in _list_names(out):
        try:
            studies.append(read_study(out, name))
        except StudyError as error:
            errors.append(error)
    return studies, errors


def refuse_other(folder: Path, plan: StudyPlan) -> None:
    """Raise StudyError if the plan lacks trials of the plan in a folder; it may have more."""
    if not (folder / PLAN).is_file():
        return
    planned = {trial.id for trial in plan.list_trials()}
    there = {trial.id for trial in read_record(StudyPlan, folder / PLAN).list_trials()}
    if lost := len(there - planned):
        raise StudyError(
            f"{folder} holds another study: {lost} of its {len(there)} trials would be gone from "
            "the table, as their dataset, split or settings are not those of the file; give the "
            f"file another name, or remove {folder}"
        )


def _list_names(out: Path) -> list[str]:
    return sorted(file.parent.name for file in out.glob(f"*/{PLAN}"))

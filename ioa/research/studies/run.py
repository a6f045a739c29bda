"""A study from its configuration to its table and figure."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from ioa.errors import StudyError
from ioa.research.reporting.conditions import Conditions
from ioa.research.reporting.records import write_record, write_whole
from ioa.research.studies.configuration import StudyConfig
from ioa.research.studies.execution import Progress, Snapshots, train_missing
from ioa.research.studies.learning import compute_sha256, learn_stack, load_latents, predict
from ioa.research.studies.plan import PLAN, Study, StudyPlan, refuse_other
from ioa.research.studies.scoring import score
from ioa.research.studies.splits import divide
from ioa.research.studies.table import draw_study, render_study
from ioa.research.studies.trials import DatasetFacts, Trial, TrialRecord
from server_classifier.heads.head import Learner, TrainingError
from server_classifier.store.database import reading
from server_classifier.store.datasets.latents import DatasetLatents, read_dataset


def run_study(
    config: StudyConfig, engine: Engine, out: Path, *, jobs: int, on_progress: Progress
) -> tuple[Study, int]:
    """Train the trials that are not done yet; return the study and how many these were.

    Table and figure lie beside the trials, in ``<out>/<name>/``.

    Raises:
        DatasetError: a dataset is not there, or has changed.
        StudyError: it cannot be split as configured, results cannot be written, or a study of this
            name has trials that this one has not.
    """
    folder = out / config.name
    chosen = [(name, encoder) for name in config.datasets for encoder in config.encoders or (None,)]
    with reading(engine) as connection:
        datasets = [read_dataset(connection, name, encoder) for name, encoder in chosen]
    facts = [_describe(name, own) for (name, _), own in zip(chosen, datasets, strict=True)]
    plan = StudyPlan(config=config, datasets=tuple(facts))
    trials = plan.list_trials()
    refuse_other(folder, plan)
    write_record(folder / PLAN, plan)
    records, trained = train_missing(
        TrialRecord, trials, run_trials, datasets, folder, jobs=jobs, on_progress=on_progress
    )
    study = Study(plan, records)
    write_whole(folder / "table.md", render_study(study).encode())
    write_whole(folder / "figure.png", draw_study(study))
    return study, trained


def run_trials(
    trials: Sequence[Trial], snapshots: Snapshots, conditions: Conditions
) -> list[TrialRecord]:
    """Train at once and test trials of one ``stack_key``; return their records in order.

    The record of a trial that cannot be trained has the reason.
    """
    variant = trials[0].variant
    latents = load_latents(snapshots[variant.digest, variant.encoder_id])
    started = time.perf_counter()
    results: list[dict[str, object]]
    try:
        results = _measure(trials, latents)
    except (TrainingError, StudyError) as error:
        results = [{"failure": str(error)} for _ in trials]
    seconds = (time.perf_counter() - started) / len(trials)
    return [
        TrialRecord(
            id=trial.id,
            dataset=trial.variant.dataset,
            trial=trial.describe(),
            seconds=seconds,
            conditions=conditions,
            **result,
        )
        for trial, result in zip(trials, results, strict=True)
    ]


def _measure(trials: Sequence[Trial], latents: DatasetLatents) -> list[dict[str, object]]:
    first = trials[0]
    learned, tested = divide(latents, first.split, first.seed, first.fold)
    targets = latents.targets[learned]
    learners = [Learner(trial.seed, trial.variant.settings) for trial in trials]
    results: list[dict[str, object]] = []
    for classifier in learn_stack(latents.values[learned], targets, learners):
        if isinstance(classifier, TrainingError):
            results.append({"failure": str(classifier)})
            continue
        scores = score(
            predict(classifier, latents.values[tested], len(latents.labels)),
            *(latents.targets[tested], latents.site_of[tested]),
            labels=latents.labels,
            sites=latents.sites,
            majority=int(np.bincount(targets).argmax()),
        )
        counts = {"rows_learned": int(learned.sum()), "rows_tested": int(tested.sum())}
        weights = {"weights_sha256": compute_sha256(classifier)}
        results.append({"scores": scores, **counts, **weights})
    return results


def _describe(name: str, latents: DatasetLatents) -> DatasetFacts:
    return DatasetFacts(
        name=name,
        digest=latents.digest,
        encoder_id=latents.encoder_id,
        rows=len(latents.targets),
        sites=latents.sites,
        labels=latents.labels,
        groups=len(np.unique(latents.groups)),
        with_subject=latents.with_subject,
        with_image=latents.with_image,
    )

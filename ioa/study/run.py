"""A study from its configuration to its table and figure."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sqlalchemy import Engine

from ioa.study.conditions import Conditions, read_conditions
from ioa.study.configuration import StudyConfig
from ioa.study.errors import StudyError
from ioa.study.execution import Progress, run_missing
from ioa.study.figure import draw_study
from ioa.study.learning import learn, load_latents
from ioa.study.plan import PLAN, Study, StudyPlan, read_study, refuse_other
from ioa.study.records import TrialRecord, write_record, write_whole
from ioa.study.scoring import Scores, score
from ioa.study.splits import divide
from ioa.study.table import render_study
from ioa.study.trials import DatasetFacts, Trial
from ioa.termination import ended_in_order
from server_classifier.classifier import TrainingError
from server_classifier.store.database import reading
from server_classifier.store.dataset_latents import DatasetLatents, read_dataset, write_snapshot

Snapshots = Mapping[tuple[str, str], Path]
"""Files with the latents of a dataset (by digest) and encoder, for the processes that train."""


def run_study(
    config: StudyConfig, engine: Engine, out: Path, *, jobs: int, on_progress: Progress
) -> tuple[Study, int]:
    """Do the trials that are not done yet; return the study and how many these were.

    Table and figure lie beside the trials, in ``<out>/<name>/``. The latents themselves are only in
    temporary files meanwhile: they are patients' data, and results are passed on. Killed with
    SIGKILL, a run leaves these behind, in a folder that only its user can read.

    Raises:
        DatasetError: a dataset is not there, or is not what it was.
        StudyError: it cannot be split as asked for, results cannot be written, or a study of this
            name has trials that this one has not.
    """
    folder = out / config.name
    datasets = read_datasets(config, engine)
    plan = StudyPlan(config=config, datasets=tuple(_describe(*one) for one in datasets))
    trials = {trial.id: trial for trial in plan.list_trials()}
    refuse_other(folder, plan)
    write_record(folder / PLAN, plan)
    with ended_in_order(), TemporaryDirectory(prefix="ioa-study-") as temporary:
        snapshots = {}
        for number, (_, latents) in enumerate(datasets):
            file = Path(temporary, f"{number}.latents")
            write_snapshot(latents, file)
            snapshots[latents.digest, latents.encoder_id] = file
        work = partial(run_trial, snapshots=snapshots, conditions=read_conditions())
        trained = run_missing(trials, work, folder, jobs=jobs, on_progress=on_progress)
    study = read_study(out, config.name)
    write_whole(folder / "table.md", render_study(study).encode())
    write_whole(folder / "figure.png", draw_study(study))
    return study, trained


def read_datasets(config: StudyConfig, engine: Engine) -> list[tuple[str, DatasetLatents]]:
    """Read every dataset for every encoder. Raises DatasetError."""
    with reading(engine) as connection:
        return [
            (name, read_dataset(connection, name, encoder))
            for name in config.datasets
            for encoder in config.encoders or (None,)
        ]


def run_trial(trial: Trial, snapshots: Snapshots, conditions: Conditions) -> TrialRecord:
    """Train and test once; what cannot be trained is a record with the reason."""
    variant = trial.variant
    latents = load_latents(snapshots[variant.digest, variant.encoder_id])
    started = time.perf_counter()
    results: dict[str, object]
    try:
        results = _measure(trial, latents)
    except (TrainingError, StudyError) as error:
        results = {"failure": str(error)}
    return TrialRecord(
        id=trial.id,
        dataset=variant.dataset,
        trial=trial.describe(),
        seconds=time.perf_counter() - started,
        conditions=conditions,
        **results,
    )


def _measure(trial: Trial, latents: DatasetLatents) -> dict[str, object]:
    learned, tested = divide(latents, trial.split, trial.seed, trial.fold)
    targets = latents.targets[learned]
    settings = trial.variant.settings
    classifier = learn(latents.values[learned], targets, seed=trial.seed, settings=settings)
    scores: Scores = score(
        classifier.predict(latents.values[tested], len(latents.labels)),
        latents.targets[tested],
        latents.site_of[tested],
        labels=latents.labels,
        sites=latents.sites,
        majority=int(np.bincount(targets).argmax()),
    )
    return {
        "scores": scores,
        "rows_learned": int(learned.sum()),
        "rows_tested": int(tested.sum()),
        "weights_sha256": classifier.compute_sha256(),
    }


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

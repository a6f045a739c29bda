"""The paper's grid search, over learning rate, dropout and width: trials of a study.

The validation split stands as a site that is held out of the clients' latents.
"""

from pathlib import Path
from typing import Any

import numpy as np

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.images.augmentation import augment_batches
from client_autoencoder.images.batches import ImageBatch
from client_autoencoder.images.sets import digest, split
from ioa.research.lab.parts import join
from ioa.research.papers.one_shot_latents.plan import Plan
from ioa.research.studies.configuration import Split, combine
from ioa.research.studies.execution import Progress, train_missing
from ioa.research.studies.run import run_trials
from ioa.research.studies.trials import Trial, TrialRecord, Variant, apply_head
from server_classifier.heads.head import TrainingError
from server_classifier.heads.settings import TrainingSettings
from server_classifier.store.datasets.latents import DatasetLatents

VALIDATION = """\
Learned from four fifths of each client's images of seed 0, copies included; the accuracy is that
on the originals of the other fifth, drawn by class and not by patient. No image of the test is in
either. The best choice is used for every seed, and for the controls."""
GRID = {
    "hidden": [[128, 64, 32], [256, 128, 64], [512, 256, 128]],
    "learning_rate": [3e-3, 1e-2, 3e-2],
    "dropout": [0.1, 0.3, 0.5],
}
_SEED = 0

Row = dict[str, Any]
"""One choice: ``learning_rate``, ``dropout``, ``hidden`` and the ``accuracy`` on the validation."""


def search_grid(
    plan: Plan, clients: list[ImageBatch], directory: Path, encoder: str, on_progress: Progress
) -> list[Row]:
    """Train the server's classifier with every choice and return all, the best first.

    Of equals, the smaller network and the slower rate win. ``directory`` holds the encoder and
    keeps the trials. Raises TrainingError where a training fails.
    """
    latents = _encode(plan, clients, Encoder.load(directory / encoder))
    choices = [choose(plan.training, choice) for choice in combine(GRID)]
    trials = [
        Trial(
            Variant("grid", latents.digest, latents.encoder_id, "mlp", apply_head("mlp", settings)),
            *(Split(hold_out="site"), _SEED, "validation"),
        )
        for settings in choices
    ]
    records, _ = train_missing(
        *(TrialRecord, trials, run_trials, [latents], directory / "trials"),
        jobs=1,
        on_progress=on_progress,
    )
    rows = [_make_row(trial.variant.settings, records[trial.id]) for trial in trials]
    return sorted(rows, key=lambda row: -row["accuracy"])


def choose(training: TrainingSettings, choice: Row) -> TrainingSettings:
    """Return training settings with what a choice, or its row, changes in them."""
    return TrainingSettings(**training.model_dump() | {name: choice[name] for name in GRID})


def _encode(plan: Plan, clients: list[ImageBatch], encoder: Encoder) -> DatasetLatents:
    rng = np.random.default_rng(_SEED)
    pairs = [split(client, [len(client) - len(client) // 5], rng) for client in clients]
    learned = augment_batches([own for own, _ in pairs], plan.augment, rng, lambda: "")
    batches = [*learned, *(validation for _, validation in pairs)]
    images = join(batches)
    latents = [released_latents(encoder, batch.images, plan.dtype) for batch in batches]
    labels, targets = np.unique([str(label) for label in images.labels], return_inverse=True)
    held_out = sum(len(validation) for _, validation in pairs)
    rows = np.arange(len(images))
    return DatasetLatents(
        values=np.concatenate(latents),
        targets=targets,
        labels=tuple(labels.tolist()),
        site_of=np.where(rows < len(rows) - held_out, 0, 1),
        sites=("learning", "validation"),
        groups=rows,
        received_at=np.zeros(len(rows), np.int64),
        digest=digest(images.images),
        encoder_id=encoder.encoder_id,
    )


def _make_row(settings: TrainingSettings, record: TrialRecord) -> Row:
    if record.scores is None:
        raise TrainingError(record.failure)
    return {**{name: getattr(settings, name) for name in GRID}, "accuracy": record.scores.accuracy}

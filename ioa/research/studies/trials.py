"""The trials of a study: one training each, named by the hash of all that decides its result."""

import hashlib
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from ioa.errors import StudyError
from ioa.research.reporting.conditions import Conditions
from ioa.research.studies.configuration import Split, StudyConfig
from ioa.research.studies.scoring import Scores
from ioa.research.studies.splits import list_folds
from server_classifier.heads.settings import HeadName, TrainingSettings

ID_DIGITS = 16
RULES = 3
"""Raised whenever splits or dropout are drawn, or scores counted, in another way."""


class DatasetFacts(BaseModel, frozen=True, extra="forbid"):
    """What a study knows about the latents of one dataset and encoder without reading them again.

    Attributes:
        rows: how many there are; ``with_subject`` and ``with_image`` name a subject, an image.
        groups: sets of latents that no split divides (``DatasetLatents.groups``).
    """

    name: str
    digest: str
    encoder_id: str
    rows: int
    sites: tuple[str, ...]
    labels: tuple[str, ...]
    groups: int
    with_subject: int
    with_image: int


@dataclass(frozen=True, slots=True)
class Variant:
    """What is compared with others, one row of the table: everything but seed and fold."""

    dataset: str
    digest: str
    encoder_id: str
    head: HeadName
    settings: TrainingSettings


@dataclass(frozen=True, slots=True)
class Trial:
    """One training and the test of its classifier."""

    variant: Variant
    split: Split
    seed: int
    fold: str

    def describe(self) -> dict[str, Any]:
        """Return all that decides the result; the dataset's digest does, its name does not."""
        return {
            "digest": self.variant.digest,
            "encoder_id": self.variant.encoder_id,
            "head": self.variant.head,
            "settings": describe_settings(self.variant.settings),
            "split": self.split.model_dump(mode="json", exclude_none=True),
            "seed": self.seed,
            "fold": self.fold,
        }

    @property
    def stack_key(self) -> tuple[object, ...]:
        """What trials that are trained at once have in common: latents, and a network's shape."""
        drawn = None if self.split.hold_out == "site" else self.seed
        variant = self.variant
        return variant.digest, variant.encoder_id, drawn, self.fold, variant.settings.shape

    @property
    def id(self) -> str:
        """The name of its file."""
        return compute_id(self.describe())


class TrialRecord(BaseModel, frozen=True, extra="forbid"):
    """The outcome of one trial: scores, or the reason why there are none.

    Attributes:
        trial: all that decides the result (``Trial.describe``).
        weights_sha256: of the classifier's ONNX file.
        seconds: of training and test; of trials that were trained at once, an equal share.
    """

    format: Literal["ioa-trial/1"] = "ioa-trial/1"
    id: str
    dataset: str
    trial: dict[str, Any]
    scores: Scores | None = None
    failure: str | None = None
    rows_learned: int = 0
    rows_tested: int = 0
    weights_sha256: str | None = None
    seconds: float
    conditions: Conditions


def compute_id(description: dict[str, Any]) -> str:
    """Return the first digits of the SHA-256 of a description in JSON, in hexadecimal."""
    text = orjson.dumps(description | {"rules": RULES}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:ID_DIGITS]


def list_trials(config: StudyConfig, datasets: tuple[DatasetFacts, ...]) -> list[Trial]:
    """Return all trials, seed by seed, so that an interrupted run has some of every variant.

    Raises:
        StudyError: a dataset cannot be split in the configured way.
    """
    split = config.split
    for facts in datasets:
        if split.hold_out == "subject" and not facts.with_subject:
            raise StudyError(
                f"no subject can be held out: no latent of dataset {facts.name} names one; use "
                "folds, which keep images together"
            )
    folds = {(facts.name, facts.encoder_id): list_folds(split, facts.sites) for facts in datasets}
    variants = dict.fromkeys(
        Variant(facts.name, facts.digest, facts.encoder_id, head, apply_head(head, settings))
        for facts, head, settings in product(datasets, config.heads, config.settings)
    )
    return [
        Trial(variant, split, seed, fold)
        for seed, variant in product(config.seeds, variants)
        for fold in folds[variant.dataset, variant.encoder_id]
    ]


def apply_head(head: HeadName, settings: TrainingSettings) -> TrainingSettings:
    """Return the settings that a head uses, with nothing left open."""
    return settings.model_copy(update={"head": head}).resolve(maps=False)


def describe_settings(settings: TrainingSettings) -> dict[str, Any]:
    """Return all of them but the head, which descriptions name beside them."""
    return settings.model_dump(mode="json", exclude={"head"})

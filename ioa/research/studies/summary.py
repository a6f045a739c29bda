"""The rows of a study's table: mean and spread of each variant's trials."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ioa.research.studies.plan import Study
from ioa.research.studies.scoring import Scores
from ioa.research.studies.trials import Trial, Variant

MAJORITY = "majority class"
FIGURES = ("accuracy", "macro_f1", "loss")

Key = tuple[int, str]
"""Seed and fold."""
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of some numbers, and their sample standard deviation, None of a single one."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One variant of a study, or for each dataset the guess that every classifier should beat.

    Attributes:
        number: of the row, from 1, by which ``ioa experiment diff`` knows it; None of a guess.
        variant: what was trained; None of a guess.
        names: what tells it from the other rows, such as {"head": "mlp", "dropout": "0.1"}.
        results: the figures of its trials by seed and fold, without the failed ones.
        planned: how many trials it has.
        failures: the reasons of those that failed.
    """

    number: int | None
    variant: Variant | None
    names: dict[str, str]
    results: dict[Key, Figures]
    planned: int
    failures: tuple[str, ...]

    def summarise(self, figure: str) -> Spread | None:
        """Return the spread of one figure, None as long as no trial has it."""
        return find_spread(one[figure] for one in self.results.values() if figure in one)

    def to_json(self) -> dict[str, Any]:
        """Return the row for machines."""
        spreads = {name: self.summarise(name) for name in FIGURES}
        return {
            "row": self.number,
            **self.names,
            "trials": len(self.results),
            "planned": self.planned,
            "failures": list(self.failures),
            **{
                name: {"mean": spread.mean, "sd": spread.sd} if spread else None
                for name, spread in spreads.items()
            },
        }


def find_spread(values: Iterable[float]) -> Spread | None:
    """Return mean and spread, None of no numbers."""
    numbers = list(values)
    if not numbers:
        return None
    sd = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return Spread(float(np.mean(numbers)), sd, len(numbers))


def summarise_study(study: Study) -> list[Row]:
    """Return the rows in the order of the configuration, a guess at the end of each dataset."""
    trials: dict[Variant, list[Trial]] = {}
    for trial in study.plan.list_trials():
        trials.setdefault(trial.variant, []).append(trial)
    names = _name(list(trials))
    rows = {
        variant: _make_row(number, names[variant], trials[variant], study)
        for number, variant in enumerate(trials, 1)
    }
    ordered: list[Row] = []
    for place in dict.fromkeys(map(_place, trials)):
        here = [variant for variant in trials if _place(variant) == place]
        ordered += [*(rows[one] for one in here), _guess(here, names[here[0]], study)]
    return ordered


def _make_row(number: int, names: dict[str, str], trials: Sequence[Trial], study: Study) -> Row:
    records = study.records
    done = {(one.seed, one.fold): records[one.id] for one in trials if one.id in records}
    return Row(
        number,
        trials[0].variant,
        names,
        {key: _take_figures(record.scores) for key, record in done.items() if record.scores},
        len(trials),
        tuple(record.failure for record in done.values() if record.failure is not None),
    )


def _take_figures(scores: Scores) -> Figures:
    return {name: getattr(scores, name) for name in FIGURES}


def _guess(variants: Iterable[Variant], names: dict[str, str], study: Study) -> Row:
    """Return the row of guessing the class that was learned most often, on the same divisions."""
    results: dict[Key, Figures] = {}
    for trial in study.plan.list_trials():
        record = study.records.get(trial.id)
        if trial.variant in variants and record is not None and record.scores is not None:
            scores = record.scores
            figures = {"accuracy": scores.baseline, "macro_f1": scores.baseline_f1}
            results[trial.seed, trial.fold] = figures
    kept = {name: names[name] for name in ("dataset", "encoder") if name in names}
    return Row(None, None, kept | {"head": MAJORITY}, results, len(results), ())


def _place(variant: Variant) -> tuple[str, str]:
    return variant.dataset, variant.encoder_id


def _name(variants: Sequence[Variant]) -> dict[Variant, dict[str, str]]:
    """Return what tells each variant from the others; the head is always named."""
    columns = {variant: _columns(variant) for variant in variants}
    heads = {variant.head for variant in variants}
    varied = [
        name
        for name in next(iter(columns.values()))
        if name == "head"
        or len({(one["head"], one[name]) for one in columns.values()}) > len(heads)
    ]
    return {one: {name: column[name] for name in varied} for one, column in columns.items()}


def _columns(variant: Variant) -> dict[str, str]:
    settings = variant.settings.model_dump(mode="json")
    if variant.head == "linear":
        settings |= {"hidden": "", "dropout": ""}  # it has none, whatever the settings say
    return {
        "dataset": variant.dataset,
        "encoder": variant.encoder_id[:12],
        "head": variant.head,
        **{name: str(value) for name, value in settings.items()},
    }

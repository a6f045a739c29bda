"""The rows of a study's table: mean and spread of each variant's trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

from ioa.research.reporting.spread import Spread, find_spread
from ioa.research.studies.plan import Study
from ioa.research.studies.trials import Trial, Variant, describe_settings
from server_classifier.heads.registry import HEADS

MAJORITY = "majority class"
FIGURES = ("accuracy", "macro_f1", "loss")

Key = tuple[int, str]
"""Seed and fold."""
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One variant of a study, or for each dataset the guess that every classifier should beat.

    Attributes:
        number: of the row, from 1, as in ``ioa experiment diff``; None of a guess.
        variant: what was trained; None of a guess.
        names: what distinguishes the row, such as {"head": "mlp", "dropout": "0.1"}.
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
        return find_spread(result[figure] for result in self.results.values() if figure in result)

    def to_json(self) -> dict[str, Any]:
        """Return the row for machines."""
        spreads = {name: self.summarise(name) for name in FIGURES}
        return {
            "row": self.number,
            **self.names,
            "trials": len(self.results),
            "planned": self.planned,
            "failures": list(self.failures),
            **{name: spread and spread.to_json() for name, spread in spreads.items()},
        }


def summarise_study(study: Study) -> list[Row]:
    """Return the rows in the order of the configuration, a guess at the end of each dataset."""
    trials: dict[Variant, list[Trial]] = {}
    for trial in study.plan.list_trials():
        trials.setdefault(trial.variant, []).append(trial)
    names, numbers = _name(list(trials)), count(1)
    rows: list[Row] = []
    for _, variants in groupby(trials, lambda variant: (variant.dataset, variant.encoder_id)):
        same_data = list(variants)
        for variant in same_data:
            rows.append(_make_row(next(numbers), names[variant], trials[variant], study))
        asked = [trial for variant in same_data for trial in trials[variant]]
        rows.append(_guess(asked, names[same_data[0]], study))
    return rows


def _make_row(number: int, names: dict[str, str], trials: Sequence[Trial], study: Study) -> Row:
    found = {(trial.seed, trial.fold): study.records.get(trial.id) for trial in trials}
    done = {key: record for key, record in found.items() if record is not None}
    results = {
        key: {name: getattr(record.scores, name) for name in FIGURES}
        for key, record in done.items()
        if record.scores
    }
    failures = tuple(record.failure for record in done.values() if record.failure is not None)
    return Row(number, trials[0].variant, names, results, len(trials), failures)


def _guess(trials: Sequence[Trial], names: dict[str, str], study: Study) -> Row:
    """Return the row of guessing the class that was learned most often, on the same divisions."""
    results: dict[Key, Figures] = {}
    for trial in trials:
        record = study.records.get(trial.id)
        if record is not None and (scores := record.scores) is not None:
            figures = {"accuracy": scores.baseline, "macro_f1": scores.baseline_f1}
            results[trial.seed, trial.fold] = figures
    kept = {name: names[name] for name in ("dataset", "encoder") if name in names}
    return Row(None, None, kept | {"head": MAJORITY}, results, len(results), ())


def _name(variants: Sequence[Variant]) -> dict[Variant, dict[str, str]]:
    """Return what distinguishes each variant from the others; the head is always named."""
    columns = {variant: _columns(variant) for variant in variants}
    heads = {variant.head for variant in variants}
    varied = [
        name
        for name in next(iter(columns.values()))
        if name == "head"
        or len({(column["head"], column[name]) for column in columns.values()}) > len(heads)
    ]
    return {variant: {name: column[name] for name in varied} for variant, column in columns.items()}


def _columns(variant: Variant) -> dict[str, str]:
    # What a head fixes is the same whatever the settings say.
    settings = describe_settings(variant.settings) | dict.fromkeys(HEADS[variant.head].fixed, "")
    return {
        "dataset": variant.dataset,
        "encoder": variant.encoder_id[:12],
        "head": variant.head,
        **{name: str(value) for name, value in settings.items()},
    }

"""Two studies, or two rows, side by side: what changed, and the effect."""

from dataclasses import asdict, dataclass, replace
from itertools import chain
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from ioa.errors import StudyError
from ioa.research.reporting.spread import Spread, find_spread
from ioa.research.studies.plan import Study, read_study
from ioa.research.studies.summary import FIGURES, Row, summarise_study


@dataclass(frozen=True, slots=True)
class Side:
    """A study, and the rows of it that are compared."""

    study: Study
    rows: list[Row]


class Change(NamedTuple):
    """A setting or condition, and its values on both sides."""

    what: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The difference between one row and another.

    Attributes:
        paired: the differences are those of trials with equal seed and fold, hence of equal
            latents; otherwise those of any two trials.
        differences: of each figure, the second less the first.
        better: in how many pairs the second has the higher accuracy; None without pairs.
        left_out: trials of either side that are in no pair; the rows of a paired effect are
            without them.
    """

    first: Row
    second: Row
    paired: bool
    differences: dict[str, Spread]
    better: int | None
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return the effect for machines."""
        return {
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "paired": self.paired,
            "better": self.better,
            "left_out": self.left_out,
            "differences": {name: asdict(spread) for name, spread in self.differences.items()},
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes, their effect on each row, and the names of rows without counterpart."""

    changes: list[Change]
    effects: list[Effect]
    only_first: list[dict[str, str]]
    only_second: list[dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for machines."""
        return {
            "changed": [change._asdict() for change in self.changes],
            "rows": [effect.to_json() for effect in self.effects],
            "only_first": self.only_first,
            "only_second": self.only_second,
        }


def read_side(out: Path, name: str) -> Side:
    """Read ``STUDY``, or ``STUDY:ROW`` with a row's number. Raises StudyError if there is none."""
    study_name, _, number = name.partition(":")
    study = read_study(out, study_name)
    rows = [row for row in summarise_study(study) if row.number is not None]
    if not number:
        return Side(study, rows)
    named = [row for row in rows if str(row.number) == number]
    if not named:
        raise StudyError(f"study {study_name} has rows 1 to {len(rows)}, and no row {number}")
    return Side(study, named)


def compare(first: Side, second: Side) -> Comparison:
    """Compare rows of the same names, or two single rows. Raises StudyError if none match."""
    pairs = [
        (row, other) for row in first.rows for other in second.rows if row.names == other.names
    ]
    if len(first.rows) == len(second.rows) == 1:
        pairs = [(first.rows[0], second.rows[0])]
    if not pairs:
        raise StudyError(
            f"no row of {first.study.name} has the names of one of {second.study.name}; name two "
            f"rows, as in {first.study.name}:1 {second.study.name}:2"
        )
    same_split = first.study.plan.config.split == second.study.plan.config.split
    matched_first, matched_second = zip(*pairs, strict=True)
    before, after = _collect(first), _collect(second)
    names = dict.fromkeys([*before, *after])
    changes = [Change(name, before.get(name, ""), after.get(name, "")) for name in names]
    return Comparison(
        [change for change in changes if change.first != change.second],
        [_measure(*pair, same_split=same_split) for pair in pairs],
        [row.names for row in first.rows if row not in matched_first],
        [row.names for row in second.rows if row not in matched_second],
    )


def _measure(first: Row, second: Row, *, same_split: bool) -> Effect:
    keys = sorted(first.results.keys() & second.results.keys())
    paired = bool(keys) and same_split and _data_of(first) == _data_of(second)
    left_out = 0
    if paired:
        left_out = len(first.results) + len(second.results) - 2 * len(keys)
        first, second = (
            replace(row, results={key: row.results[key] for key in keys}) for row in (first, second)
        )
    pairs = [(first.results[key], second.results[key]) for key in keys]
    differences = {
        name: find_spread(after[name] - before[name] for before, after in pairs)
        if paired
        else _subtract(first.summarise(name), second.summarise(name))
        for name in FIGURES
    }
    better = sum(before["accuracy"] < after["accuracy"] for before, after in pairs)
    return Effect(
        *(first, second, paired),
        {name: spread for name, spread in differences.items() if spread is not None},
        better if paired else None,
        left_out,
    )


def _data_of(row: Row) -> tuple[str, str] | None:
    return (row.variant.digest, row.variant.encoder_id) if row.variant else None


def _subtract(first: Spread | None, second: Spread | None) -> Spread | None:
    """Return the spread of the difference of any two trials, as if they were independent."""
    if first is None or second is None:
        return None
    known = first.sd is not None and second.sd is not None
    sd = sqrt((first.sd or 0) ** 2 + (second.sd or 0) ** 2) if known else None
    return Spread(second.mean - first.mean, sd, min(first.n, second.n))


def _collect(side: Side) -> dict[str, str]:
    """Return everything that may change a result, with all values that occur in the rows."""
    plan = side.study.plan
    variants = [row.variant for row in side.rows if row.variant is not None]
    facts: list[dict[str, Any]] = [
        {
            "dataset": variant.dataset,
            "digest": variant.digest,
            "encoder": variant.encoder_id,
            "head": variant.head,
            **{f"settings.{name}": value for name, value in variant.settings},
        }
        for variant in variants
    ]
    split = plan.config.split.model_dump(exclude_none=True)
    facts.append({"seeds": ", ".join(map(str, plan.config.seeds))})
    facts.append({f"split.{name}": value for name, value in split.items()})
    for trial in plan.list_trials():
        record = side.study.records.get(trial.id)
        if trial.variant in variants and record is not None:
            made = record.conditions
            facts.append({"machine": made.machine, "commit": made.commit or "unknown"})
            facts.append({f"versions.{name}": version for name, version in made.versions.items()})
    return {
        name: " | ".join(dict.fromkeys(str(fact[name]) for fact in facts if name in fact))
        for name in dict.fromkeys(chain.from_iterable(facts))
    }

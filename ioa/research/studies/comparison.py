"""Two studies, or two rows, side by side: what changed, and what it did."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

from ioa.research.studies.errors import StudyError
from ioa.research.studies.plan import Study, read_study
from ioa.research.studies.summary import FIGURES, Key, Row, Spread, find_spread, summarise_study
from ioa.research.studies.trials import Variant


@dataclass(frozen=True, slots=True)
class Side:
    """A study, and those of its rows that are compared."""

    study: Study
    rows: list[Row]

    @property
    def variants(self) -> list[Variant]:
        """What the rows stand for."""
        return [row.variant for row in self.rows if row.variant is not None]


class Change(NamedTuple):
    """A setting or condition, and what it was on either side."""

    what: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What became of one row in another.

    Attributes:
        paired: the differences are those of trials with equal seed and fold, hence of equal
            latents; otherwise those of any two trials.
        differences: of each figure, the second less the first.
        better: in how many pairs the second has the higher accuracy; None where nothing is paired.
        left_out: trials of either side that are in no pair; where some are paired, the rows are
            without them.
    """

    first: Row
    second: Row
    paired: bool
    differences: dict[str, Spread]
    better: int | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is different, what it did to each row, and the names of rows without counterpart."""

    changes: list[Change]
    effects: list[Effect]
    only_first: list[dict[str, str]]
    only_second: list[dict[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for machines."""
        return {
            "changed": [change._asdict() for change in self.changes],
            "rows": [_effect_to_json(effect) for effect in self.effects],
            "only_first": self.only_first,
            "only_second": self.only_second,
        }


def read_side(out: Path, name: str) -> Side:
    """Read ``STUDY``, or ``STUDY:ROW`` with the number of a row of its table.

    Raises:
        StudyError: there is no such study or row.
    """
    study_name, _, number = name.partition(":")
    study = read_study(out, study_name)
    rows = [row for row in summarise_study(study) if row.number is not None]
    if not number:
        return Side(study, rows)
    chosen = [row for row in rows if str(row.number) == number]
    if not chosen:
        raise StudyError(f"study {study_name} has rows 1 to {len(rows)}, and no row {number}")
    return Side(study, chosen)


def compare(first: Side, second: Side) -> Comparison:
    """Compare rows of the same names; two single rows are compared whatever their names.

    Raises:
        StudyError: no row has a counterpart.
    """
    pairs = _match(first.rows, second.rows)
    if not pairs:
        raise StudyError(
            f"no row of {first.study.name} has the names of one of {second.study.name}; name two "
            f"rows, as in {first.study.name}:1 {second.study.name}:2"
        )
    same_split = first.study.plan.config.split == second.study.plan.config.split
    return Comparison(
        list(_list_changes(_collect(first), _collect(second))),
        [_measure(one, other, same_split=same_split) for one, other in pairs],
        [row.names for row in first.rows if row not in [one for one, _ in pairs]],
        [row.names for row in second.rows if row not in [other for _, other in pairs]],
    )


def _match(first: list[Row], second: list[Row]) -> list[tuple[Row, Row]]:
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    return [(one, other) for one in first for other in second if one.names == other.names]


def _measure(first: Row, second: Row, *, same_split: bool) -> Effect:
    keys = sorted(first.results.keys() & second.results.keys())
    paired = bool(keys) and same_split and _data_of(first) == _data_of(second)
    left_out = 0
    if paired:
        left_out = len(first.results) + len(second.results) - 2 * len(keys)
        first, second = (_keep(row, keys) for row in (first, second))
    differences: dict[str, Spread] = {}
    for name in FIGURES:
        if paired:
            found = find_spread(second.results[k][name] - first.results[k][name] for k in keys)
        else:
            found = _subtract(first.summarise(name), second.summarise(name))
        if found is not None:
            differences[name] = found
    better = sum(first.results[k]["accuracy"] < second.results[k]["accuracy"] for k in keys)
    return Effect(first, second, paired, differences, better if paired else None, left_out)


def _keep(row: Row, keys: list[Key]) -> Row:
    return replace(row, results={key: row.results[key] for key in keys})


def _data_of(row: Row) -> tuple[str, str] | None:
    return (row.variant.digest, row.variant.encoder_id) if row.variant else None


def _subtract(first: Spread | None, second: Spread | None) -> Spread | None:
    """Return the spread of the difference of any two trials, as if they were independent."""
    if first is None or second is None:
        return None
    known = first.sd is not None and second.sd is not None
    sd = sqrt((first.sd or 0) ** 2 + (second.sd or 0) ** 2) if known else None
    return Spread(second.mean - first.mean, sd, min(first.n, second.n))


def _list_changes(first: dict[str, str], second: dict[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*first, *second]):
        change = Change(name, first.get(name, ""), second.get(name, ""))
        if change.first != change.second:
            yield change


def _collect(side: Side) -> dict[str, str]:
    """Return everything that may change a result, all values of each that occur in the rows."""
    config = side.study.plan.config
    found: dict[str, list[Any]] = {}
    for variant in side.variants:
        settings = {f"settings.{name}": one for name, one in variant.settings}
        about = {"dataset": variant.dataset, "digest": variant.digest}
        about |= {"encoder": variant.encoder_id, "head": variant.head}
        _add(found, about | settings)
    _add(found, {"seeds": ", ".join(map(str, config.seeds))})
    split = config.split.model_dump(exclude_none=True)
    _add(found, {f"split.{name}": one for name, one in split.items()})
    ids = [trial.id for trial in side.study.plan.list_trials() if trial.variant in side.variants]
    for record in (side.study.records[one] for one in ids if one in side.study.records):
        conditions = record.conditions
        _add(found, {"machine": conditions.machine, "commit": conditions.commit or "unknown"})
        _add(found, {f"versions.{name}": one for name, one in conditions.versions.items()})
    return {name: _join(values) for name, values in found.items()}


def _add(found: dict[str, list[Any]], values: dict[str, Any]) -> None:
    for name, value in values.items():
        found.setdefault(name, []).append(value)


def _join(values: Iterable[Any]) -> str:
    return " | ".join(dict.fromkeys(map(str, values)))


def _effect_to_json(effect: Effect) -> dict[str, Any]:
    return {
        "first": effect.first.to_json(),
        "second": effect.second.to_json(),
        "paired": effect.paired,
        "better": effect.better,
        "left_out": effect.left_out,
        "differences": {name: asdict(one) for name, one in effect.differences.items()},
    }

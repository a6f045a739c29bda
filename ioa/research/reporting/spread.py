"""Mean and standard deviation of repeated measurements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ioa.research.reporting.results import Figures


@dataclass(frozen=True, slots=True)
class Spread:
    """The mean of n numbers, and their sample standard deviation, None of a single number."""

    mean: float
    sd: float | None
    n: int

    def to_json(self) -> dict[str, float | None]:
        """Return mean and standard deviation for machines."""
        return {"mean": self.mean, "sd": self.sd}


def find_spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of some numbers, None without numbers."""
    numbers = list(values)
    if not numbers:
        return None
    sd = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None
    return Spread(float(np.mean(numbers)), sd, len(numbers))


def format_spread(
    spread: Spread | Mapping[str, float | None] | None, digits: int, *, percent: bool = False
) -> str:
    """Return ``mean ± sd`` of a spread or its JSON form; without sd the mean, else nothing."""
    if spread is None:
        return ""
    figures = spread.to_json() if isinstance(spread, Spread) else spread
    scale, numbers = 100 if percent else 1, (figures["mean"], figures["sd"])
    return " ± ".join(f"{scale * number:.{digits}f}" for number in numbers if number is not None)


def format_percent(spread: Spread | Mapping[str, float | None] | None) -> str:
    """Return ``mean ± sd`` in percent, with two digits."""
    return format_spread(spread, 2, percent=True)


def summarise(seeds: Sequence[Figures]) -> Figures:
    """Return the figures of several seeds as one, every number as its mean and spread.

    A figure that a seed lacks, such as that of a class, counts where it occurs.
    """
    summary: Figures = {}
    for name in dict.fromkeys(name for figures in seeds for name in figures):
        values = [figures[name] for figures in seeds if name in figures]
        if isinstance(values[0], dict):
            summary[name] = summarise(values)
        else:
            spread = find_spread(values)
            summary[name] = spread and spread.to_json()
    return summary

"""Tables in Markdown."""

from collections.abc import Sequence
from typing import Any


def make_head(names: Sequence[str]) -> list[str]:
    """Return the first two lines of a table."""
    return [make_row(names), make_row(["---"] * len(names))]


def make_row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def format_mean(figure: dict[str, Any], digits: int, *, percent: bool = False) -> str:
    """Return ``mean ± sd``, or the mean alone of a single seed."""
    scale = 100 if percent else 1
    mean = f"{scale * figure['mean']:.{digits}f}"
    return mean if figure["sd"] is None else f"{mean} ± {scale * figure['sd']:.{digits}f}"

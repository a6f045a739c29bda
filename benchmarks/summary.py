"""Shows all figures that have an aim in one table, from the results of a folder.

Example: python -m benchmarks.summary benchmarks/results
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measurement import Aim, Column
from benchmarks.results_file import Result, Results, read_results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(summarise(read_results(options.folder)))


def summarise(every: Sequence[Results]) -> str:
    """Return the table, without aims that no row measures."""
    rows = [line for results in every for line in _list_aims(results)]
    return "\n".join(
        [
            "| benchmark | condition | subject | figure | measured | aim | reached |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _list_aims(results: Results) -> Iterator[str]:
    for row in results.rows:
        for aim in results.aims:
            if not applies(aim, row):
                continue
            column, value = results.columns[aim.figure], row.medians[aim.figure]
            sign = ">=" if column.better == "more" else "<="
            yield (
                f"| {results.benchmark} | {', '.join(map(str, row.condition.values()))} | "
                f"{row.subject} | {column.heading} | {column.format.format(value)} | "
                f"{sign} {column.format.format(aim.bound)} | "
                f"{'yes' if is_reached(aim, column, value) else '**no**'} |"
            )


def applies(aim: Aim, row: Result) -> bool:
    """Return whether an aim is about this row."""
    return (
        aim.subject == row.subject
        and aim.figure in row.medians
        and all(row.condition.get(key) == value for key, value in aim.where.items())
    )


def is_reached(aim: Aim, column: Column, value: float) -> bool:
    """Return whether a figure is at the bound or better."""
    return value >= aim.bound if column.better == "more" else value <= aim.bound


if __name__ == "__main__":
    main()

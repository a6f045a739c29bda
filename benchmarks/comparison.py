"""Compares results with older ones and shows what became slower.

A figure has changed if its median differs by more than a tenth and lies outside the range of the
older runs. On another machine, or a busy one, only ratios can be compared.

Example: python -m benchmarks.comparison old.jsonl benchmarks/results
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measurement import Column
from benchmarks.results_file import Result, Results, read_results

_NOTABLE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="a file of results, or a folder with such files")
    parser.add_argument("new", type=Path, help="the same")
    options = parser.parse_args()
    print(compare(read_results(options.old), read_results(options.new)))


def compare(old: Sequence[Results], new: Sequence[Results]) -> str:
    """Return a table of the figures that changed, and the number of those that did not."""
    before = {results.benchmark: results for results in old}
    lines, same, missing = [], 0, 0
    for results in new:
        former = before.get(results.benchmark)
        for row in results.rows:
            match = former and _find(former, row)
            if not match:
                missing += 1
                continue
            changes = list(_list_changes(results, row, match))
            same += len(row.medians.keys() & match.medians) - len(changes)
            lines += changes
    head = [
        "| benchmark | condition | subject | figure | old | new | new / old | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    summary = f"{len(lines)} figures changed, {same} did not; {missing} rows have nothing older."
    machines = [results.machine for results in (*old, *new)]
    if any(_hardware(machine) != _hardware(machines[0]) for machine in machines):
        summary += " The machines differ: believe the ratios only."
    return "\n".join([*(head if lines else []), *lines, summary])


def _find(results: Results, wanted: Result) -> Result | None:
    for row in results.rows:
        if (row.condition, row.subject) == (wanted.condition, wanted.subject):
            return row
    return None


def _list_changes(results: Results, new: Result, old: Result) -> Iterator[str]:
    for key, column in results.columns.items():
        verdict = judge(column, new, old, key)
        if not verdict:
            continue
        condition = ", ".join(map(str, new.condition.values()))
        before, after = old.medians[key], new.medians[key]
        shown = (column.format.format(value) for value in (before, after))
        yield (
            f"| {results.benchmark} | {condition} | {new.subject} | {column.heading} | "
            f"{' | '.join(shown)} | {after / before:.2f} | {verdict} |"
        )


def judge(column: Column, new: Result, old: Result, key: str) -> str:
    """Return "worse" or "better", or "" if no change is certain."""
    if not column.better or not new.medians.get(key) or not old.medians.get(key):
        return ""
    values = [run[key] for run in old.runs]
    after = new.medians[key]
    beyond = after < min(values) or after > max(values)
    if abs(after / old.medians[key] - 1) <= _NOTABLE or not beyond:
        return ""
    more = after > old.medians[key]
    return "better" if more == (column.better == "more") else "worse"


def _hardware(machine: dict[str, object]) -> tuple[object, ...]:
    return machine["cores"], machine["machine"]


if __name__ == "__main__":
    main()

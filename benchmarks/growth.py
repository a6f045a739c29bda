"""Draws how cost grows from 10,000 to 1,000,000 messages, rows or latents.

The figure shows microseconds per message, row or sample: a level line means linear growth.

Example: python -m benchmarks.growth benchmarks/results growth.png
"""

import argparse
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.results_file import Results, read_results

Line = tuple[str, list[tuple[int, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="a folder with results")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    options = parser.parse_args()
    options.picture.write_bytes(draw_growth(read_results(options.results)))


def draw_growth(every: Sequence[Results]) -> bytes:
    """Return the figure as PNG, with a line for each subject measured at several numbers."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    for results in every:
        for name, points in list_lines(results):
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axis.set(xscale="log", yscale="log", xlabel="messages, rows or latents", ylabel="us for each")
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ticks.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        ticks.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    if axis.lines:
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    return drawn.getvalue()


def list_lines(results: Results) -> Iterator[Line]:
    """Yield the name and the points (number, us) of each line of one benchmark."""
    if results.benchmark not in _NUMBERS:
        return
    number, figure, what = _NUMBERS[results.benchmark]
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in results.rows:
        if figure not in row.medians:
            continue
        rest = [str(value) for key, value in row.condition.items() if key != number]
        name = ", ".join([row.subject, *rest, what])
        lines.setdefault(name, []).append((row.condition[number], row.medians[figure]))
    yield from ((name, points) for name, points in lines.items() if len(points) > 1)


# By benchmark: the condition that grows, the figure in microseconds, and its name.
_NUMBERS = {
    "ingest_growth": ("stored", "cpu_us", "CPU"),
    "training": ("latents", "us_per_sample_epoch", "a sample and epoch"),
    "read_latents": ("latents", "us", "a latent"),
}


if __name__ == "__main__":
    main()

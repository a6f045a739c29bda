"""A study as a picture: the accuracy of every trial, a line for each row of the table."""

from pathlib import Path

from ioa.study.plan import Study
from ioa.study.summary import Row, summarise_study


def draw_study(path: Path, study: Study) -> None:
    """Write the figure as PNG: a dot for each trial, mean and standard deviation as a bar."""
    # Here, since importing matplotlib takes a second that nobody else should wait for.
    from matplotlib.figure import Figure

    rows = summarise_study(study)
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(rows):
        accuracies = [100 * one["accuracy"] for one in row.results.values()]
        colour = "grey" if row.number is None else "tab:blue"
        axis.plot(accuracies, [place] * len(accuracies), ".", color=colour, alpha=0.4)
        spread = row.summarise("accuracy")
        if spread is not None:
            error = 100 * (spread.sd or 0)
            axis.errorbar(100 * spread.mean, place, xerr=error, fmt="o", color=colour, capsize=4)
    axis.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axis.invert_yaxis()
    axis.set(xlabel="accuracy, %", title=study.name)
    axis.grid(axis="x", alpha=0.3)
    figure.savefig(path, format="png", dpi=120)


def _name(row: Row) -> str:
    words = [name if key in ("dataset", "head") else f"{key} {name}" for key, name in _stated(row)]
    return ", ".join([*([str(row.number)] if row.number else []), *words])


def _stated(row: Row) -> list[tuple[str, str]]:
    return [(key, name) for key, name in row.names.items() if name]

"""A study as a picture: the accuracy of every trial, a line for each row of the table."""

from io import BytesIO

from ioa.research.studies.plan import Study
from ioa.research.studies.summary import Row, summarise_study


def draw_study(study: Study) -> bytes:
    """Return the figure as PNG: a dot for each trial, mean and standard deviation as a bar.

    A guess has its mean in its name only: it lies so far off that nothing else could be told apart.
    """
    # Here, since importing matplotlib takes a second that nobody else should wait for.
    from matplotlib.figure import Figure

    rows = summarise_study(study)
    trained = [(place, row) for place, row in enumerate(rows) if row.variant is not None]
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in trained:
        accuracies = [100 * one["accuracy"] for one in row.results.values()]
        axis.plot(accuracies, [place] * len(accuracies), ".", color="tab:blue", alpha=0.4)
        spread = row.summarise("accuracy")
        if spread is not None:
            error = 100 * (spread.sd or 0)
            axis.errorbar(
                100 * spread.mean, place, xerr=error, fmt="o", color="tab:blue", capsize=4
            )
    axis.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set(xlabel="accuracy, %", title=study.name)
    axis.grid(axis="x", alpha=0.3)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    return drawn.getvalue()


def _name(row: Row) -> str:
    words = [str(row.number)] if row.number else []
    for key, name in row.names.items():
        if name:
            words.append(name if key in ("dataset", "head") else f"{key} {name}")
    spread = row.summarise("accuracy")
    return ", ".join(words) + (f": {spread.mean:.1%}" if spread else "")

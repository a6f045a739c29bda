"""A study as a table in Markdown, and as a figure with a line for each row of the table."""

from collections.abc import Iterator, Sequence

from ioa.research.reporting.conditions import Conditions
from ioa.research.reporting.markdown import make_table
from ioa.research.reporting.pictures import encode_png, make_figure
from ioa.research.reporting.spread import find_spread, format_percent, format_spread
from ioa.research.studies.plan import Study
from ioa.research.studies.summary import Row, summarise_study

SPREAD = """\
Mean ± standard deviation over seeds and folds; accuracy and macro-F1 in %. Trials share most of
what they learn from: the spread tells how much one trial may differ, and is no standard error.
`majority class` always answers what was learned most often."""


def render_study(study: Study) -> str:
    """Return the page: the table, the failures, and the conditions under which it was made."""
    return "\n".join(_lines(study)) + "\n"


def list_conditions(study: Study) -> list[Conditions]:
    """Return the different conditions of a study's trials, in their order."""
    found = [record.conditions for record in study.records.values()]
    return list({str(conditions): conditions for conditions in found}.values())


def _lines(study: Study) -> Iterator[str]:
    rows = summarise_study(study)
    yield from (f"# Study {study.name}", "")
    yield from _tabulate(rows)
    yield from ("", SPREAD, "")
    if study.plan.config.split.hold_out == "site":
        yield from ("Accuracy on each site, learned from all the others:", "")
        yield from _tabulate_sites(study, rows)
        yield ""
    for row in rows:
        for reason in dict.fromkeys(row.failures):
            yield f"* row {row.number}: {row.failures.count(reason)} trials failed: {reason}"
    for facts in study.plan.datasets:
        sites, labels = len(facts.sites), len(facts.labels)
        yield f"* dataset `{facts.name}`: {facts.rows:,} latents of encoder `{facts.encoder_id}` "
        yield f"  from {sites} sites, {labels} labels, digest `{facts.digest}`; "
        yield (
            f"  {facts.with_subject:,} name a subject and {facts.with_image:,} an image, which "
            f"makes {facts.groups:,} groups that no split divides"
        )
    for conditions in list_conditions(study):
        yield f"* made with: {conditions.describe()}"


def _tabulate(rows: Sequence[Row]) -> list[str]:
    figures = [
        [
            _count_trials(row),
            format_percent(row.summarise("accuracy")),
            format_percent(row.summarise("macro_f1")),
            format_spread(row.summarise("loss"), 3),
        ]
        for row in rows
    ]
    return _make_table(rows, ["trials", "accuracy", "macro-F1", "loss"], figures)


def _tabulate_sites(study: Study, rows: Sequence[Row]) -> list[str]:
    sites = sorted({site for facts in study.plan.datasets for site in facts.sites})

    def average(row: Row, site: str) -> str:
        results = [result["accuracy"] for (_, fold), result in row.results.items() if fold == site]
        return format_percent(find_spread(results))

    return _make_table(rows, sites, [[average(row, site) for site in sites] for row in rows])


def _make_table(rows: Sequence[Row], head: list[str], figures: list[list[str]]) -> list[str]:
    """Return a table of figures, each row under the names that distinguish it."""
    names = list(dict.fromkeys(name for row in rows for name in row.names))
    cells = [
        [str(row.number or ""), *(row.names.get(name, "") for name in names), *own]
        for row, own in zip(rows, figures, strict=True)
    ]
    return make_table(["row", *names, *head], cells)


def _count_trials(row: Row) -> str:
    done, failed = len(row.results), len(row.failures)
    counts = ((failed, "failed"), (row.planned - done - failed, "to do"))
    return ", ".join([f"{done}", *(f"{count} {what}" for count, what in counts if count)])


def draw_study(study: Study) -> bytes:
    """Return the figure as PNG: a dot for each trial, mean and standard deviation as a bar.

    A guess has its mean in its name only; a dot so far off would squeeze all others together.
    """
    rows = summarise_study(study)
    figure = make_figure(8, 1.2 + 0.4 * len(rows))
    axis = figure.subplots()
    for place, row in enumerate(rows):
        spread = row.summarise("accuracy")
        if row.variant is None or spread is None:
            continue
        accuracies = [100 * result["accuracy"] for result in row.results.values()]
        axis.plot(accuracies, [place] * len(accuracies), ".", color="tab:blue", alpha=0.4)
        error = 100 * (spread.sd or 0)
        axis.errorbar(100 * spread.mean, place, xerr=error, fmt="o", color="tab:blue", capsize=4)
    axis.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set(xlabel="accuracy, %", title=study.name)
    axis.grid(axis="x", alpha=0.3)
    return encode_png(figure)


def _name(row: Row) -> str:
    words = [str(row.number)] if row.number else []
    for key, name in row.names.items():
        if name:
            words.append(name if key in ("dataset", "head") else f"{key} {name}")
    spread = row.summarise("accuracy")
    return ", ".join(words) + (f": {spread.mean:.1%}" if spread else "")

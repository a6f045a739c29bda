"""A study's table in Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ioa.research.reporting.markdown import format_mean, make_head, make_row
from ioa.research.studies.conditions import Conditions
from ioa.research.studies.plan import Study
from ioa.research.studies.summary import Row, Spread, find_spread, summarise_study

SPREAD = """\
Mean ± standard deviation over seeds and folds; accuracy and macro-F1 in %. Trials share most of
what they learn from: the spread tells how much one trial may differ, and is no standard error.
`majority class` always answers what was learned most often."""


def render_study(study: Study) -> str:
    """Return the page: the table, what failed, and under what conditions it was made."""
    return "\n".join(_lines(study)) + "\n"


def format_spread(spread: Spread | None, digits: int, *, percent: bool = False) -> str:
    """Return ``mean ± sd``; nothing where there is no trial."""
    return format_mean(asdict(spread), digits, percent=percent) if spread else ""


def list_conditions(study: Study) -> list[Conditions]:
    """Return the different conditions of a study's trials, in their order."""
    return list({str(one.conditions): one.conditions for one in study.records.values()}.values())


def describe_conditions(conditions: Conditions) -> str:
    """Return them in one line."""
    versions = ", ".join(f"{name} {one}" for name, one in conditions.versions.items())
    return f"{conditions.machine}; {versions}; commit {conditions.commit or 'unknown'}"


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
        yield f"* made with: {describe_conditions(conditions)}"


def _tabulate(rows: Sequence[Row]) -> Iterator[str]:
    names = _list_names(rows)
    yield from make_head(["row", *names, "trials", "accuracy", "macro-F1", "loss"])
    for row in rows:
        done, failed = len(row.results), len(row.failures)
        left = row.planned - done - failed
        trials = f"{done}" + (f", {failed} failed" if failed else "")
        yield make_row(
            [
                str(row.number or ""),
                *(row.names.get(name, "") for name in names),
                trials + (f", {left} to do" if left else ""),
                format_spread(row.summarise("accuracy"), 2, percent=True),
                format_spread(row.summarise("macro_f1"), 2, percent=True),
                format_spread(row.summarise("loss"), 3),
            ]
        )


def _tabulate_sites(study: Study, rows: Sequence[Row]) -> Iterator[str]:
    names = _list_names(rows)
    sites = sorted({site for facts in study.plan.datasets for site in facts.sites})
    yield from make_head(["row", *names, *sites])
    for row in rows:
        cells = [str(row.number or ""), *(row.names.get(name, "") for name in names)]
        for site in sites:
            results = [one["accuracy"] for (_, fold), one in row.results.items() if fold == site]
            cells.append(format_spread(find_spread(results), 2, percent=True))
        yield make_row(cells)


def _list_names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.names))

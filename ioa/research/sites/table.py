"""What each site adds, as a table in Markdown."""

from collections.abc import Iterator

from ioa.research.reporting.markdown import make_table
from ioa.research.reporting.spread import find_spread, format_percent
from ioa.research.sites.shapley import Share
from ioa.research.sites.sites import SitesReport
from server_classifier.store.tables import EPOCH, MILLISECOND

MEANING = """\
Accuracy in %, mean ± standard deviation over seeds. The value of a set of sites is the accuracy of
a classifier that learned from their latents, on latents of all sites that nobody learned from,
labelled as the sites stated. A site's Shapley value is what it adds to the others on average."""
UNTRAINED = """\
(!) In some seed these sites have one label only to learn, which is always answered then, or none,
where the most frequent label of the test is. Such sets of sites count in the Shapley values."""


def render_sites(report: SitesReport) -> str:
    """Return the table, first the site that adds most."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: SitesReport) -> Iterator[str]:
    results = report.results
    yield from (f"# Sites of dataset {report.dataset}", "")
    rows = [
        [
            *(site, f"{report.latents[site]:,}"),
            _format([result.alone[site] for result in results]) + _mark(report, {site}),
            _format([result.without[site] for result in results])
            + _mark(report, {*report.latents} - {site}),
            _format([result.shapley[site].value for result in results]),
            *(_format_share(result.shapley[site]) for result in results),
        ]
        for site in report.sites
    ]
    head = ["site", "latents", "only this site", "all without it", "Shapley value"]
    yield from make_table([*head, *(f"seed {result.seed}" for result in results)], rows)
    everyone = _format([result.everyone for result in results])
    nobody = _format([result.nobody for result in results])
    added = _format([result.everyone - result.nobody for result in results])
    yield from ("", MEANING, "")
    if any(result.untrained for result in results):
        yield from (UNTRAINED, "")
    yield f"* all sites: {everyone}; none, the most frequent label of the test: {nobody}"
    yield f"* the Shapley values sum to the difference: {added}"
    yield f"* {_describe_method(report)}"
    yield f"* {100 * report.game.test_share:.3g}% of the groups are tested on, drawn by the seed"
    if report.game.before is not None:
        moment = EPOCH + report.game.before * MILLISECOND
        yield f"* learned only from what was received before {moment.isoformat()}"
    for site, share in report.game.noise:
        yield f"* {100 * share:.3g}% of the labels of {site} are changed at random before learning"
    yield f"* head {report.game.head}, dataset digest `{report.game.digest}`"


def _mark(report: SitesReport, sites: set[str]) -> str:
    return " (!)" if any(sites in result.untrained for result in report.results) else ""


def _describe_method(report: SitesReport) -> str:
    if report.orders is None:
        return f"exact: all {2 ** len(report.sites)} sets of sites, each trained once per seed"
    return (
        f"estimated from {report.orders} orders of the sites per seed, in which every site stands "
        "equally often at every place; in brackets the standard error within the seed"
    )


def _format_share(share: Share) -> str:
    error = "" if share.error is None else f" ({100 * share.error:.2f})"
    return f"{100 * share.value:.2f}{error}"


def _format(values: list[float]) -> str:
    return format_percent(find_spread(values))

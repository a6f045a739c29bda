"""Results side by side, one row each, as the README shows them."""

from collections.abc import Iterator, Sequence

from ioa.research.papers.one_shot_latents import paper
from ioa.research.papers.one_shot_latents.division import WHOLE
from ioa.research.papers.one_shot_latents.page import describe
from ioa.research.papers.one_shot_latents.tables import Figures
from ioa.research.reporting.markdown import format_mean, make_head, make_row

_CONTROLS = (
    "raw pixels, same classifier",
    "untrained encoder",
    "one client alone",
    "own encoders, pooled",
)


def render_summary(results: Sequence[Figures]) -> str:
    """Return a Markdown table: accuracies and controls in %, reconstruction, bytes."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Sequence[Figures]) -> Iterator[str]:
    yield from make_head(
        [
            *("experiment 003", "1,000 unseen", WHOLE, *_CONTROLS),
            *("mse", "skill", "bytes a latent"),
        ]
    )
    yield make_row(["the paper, MNIST, one run", paper.CLASSIFICATION["total"], *([""] * 8)])
    for result in sorted(results, key=_place):
        yield _summarise(result)


def _place(result: Figures) -> tuple[bool, str]:
    """Sort the paper's data first, then by name."""
    return not paper.is_its_data(result), result["name"]


def _summarise(result: Figures) -> str:
    tables = result["tables"]
    unseen = next(iter(tables["classification"]))
    # Controls are judged on the larger set, where the draw of the images matters less.
    largest = WHOLE if WHOLE in tables["classification"] else unseen
    accuracies = [
        format_mean(tables["classification"][subset]["total"]["accuracy"], 2, percent=True)
        for subset in (unseen, largest)
    ]
    controls = [
        format_mean(tables["controls"][largest][name], 2, percent=True)
        if name in tables["controls"][largest]
        else ""
        for name in _CONTROLS
    ]
    scores = tables["reconstruction"][largest]["reconstruction"]["total"]
    restored = [format_mean(scores["mse"], 4), format_mean(scores["skill"], 3)]
    latent_bytes = f"{result['seeds'][0]['latent_bytes']:,}"
    return make_row([describe(result), *accuracies, *controls, *restored, latent_bytes])

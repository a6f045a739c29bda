"""Results side by side, one row each, as the README shows them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ioa.experiment import paper
from ioa.experiment.results import describe, format_mean, make_head, make_row
from ioa.experiment.tables import TOTAL, Figures

_WHOLE = "whole test set"
_CONTROLS = (
    "raw pixels, same classifier",
    "untrained encoder",
    "one client alone",
    "own encoders, pooled",
)


def read_results(paths: Sequence[Path]) -> list[Figures]:
    """Read the JSON files of results."""
    return [json.loads(path.read_text()) for path in paths]


def render_summary(results: Sequence[Figures]) -> str:
    """Return a Markdown table: accuracies in %, controls, reconstruction and bytes."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Sequence[Figures]) -> Iterator[str]:
    yield from make_head(
        [
            "experiment 003",
            "accuracy, %",
            "whole test set",
            *_CONTROLS,
            "mse",
            "bytes a latent",
        ]
    )
    yield make_row(["paper: MNIST, one run", f"{paper.CLASSIFICATION[TOTAL]:.2f}", *([""] * 7)])
    for result in sorted(results, key=_place):
        yield _summarise(result)


def _place(result: Figures) -> tuple[bool, str]:
    """Sort the paper's data first, then by name."""
    return result["data"]["name"] != paper.COMPARABLE, result["name"]


def _summarise(result: Figures) -> str:
    tables = result["tables"]
    unseen, *others = tables["classification"]
    # The control is judged on the larger of the two, where the noise of the draw is smaller.
    largest = _WHOLE if _WHOLE in others else unseen
    controls = tables["controls"][largest]
    accuracy = {
        subset: format_mean(tables["classification"][subset][TOTAL]["accuracy"], 2, percent=True)
        for subset in (unseen, largest)
    }
    return make_row(
        [
            describe(result),
            accuracy[unseen],
            accuracy[largest] if largest != unseen else "",
            *(
                format_mean(controls[name], 2, percent=True) if name in controls else ""
                for name in _CONTROLS
            ),
            format_mean(tables["reconstruction"][largest]["reconstruction"][TOTAL]["mse"], 4),
            f"{result['seeds'][0]['latent_bytes']:,}",
        ]
    )

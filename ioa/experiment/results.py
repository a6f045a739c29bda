"""A result as files: JSON for machines, Markdown and PNG for people."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ioa.experiment import paper
from ioa.experiment.figure import Samples, draw_samples
from ioa.experiment.tables import TOTAL, Figures

_SCORES = {"mse": 4, "psnr_db": 1, "ssim": 3, "skill": 3}
"""The scores of table I and the digits worth reading."""


def write_result(out: Path, result: Figures, samples: Samples) -> Path:
    """Write ``<name>.json``, ``.md`` and ``.png`` and return the path of the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    name = result["name"]
    result = round_figures(result)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    draw_samples(out / f"{name}.png", samples)
    page = out / f"{name}.md"
    page.write_text(render_page(result))
    return page


def render_page(result: Figures) -> str:
    """Return the result as a page of Markdown: its tables, and under which conditions."""
    return "\n".join(_lines(result)) + "\n"


def format_mean(figure: Figures, digits: int, *, percent: bool = False) -> str:
    """Return ``mean ± sd``, or the mean alone of a single seed."""
    scale, digits = (100, digits) if percent else (1, digits)
    mean = f"{scale * figure['mean']:.{digits}f}"
    return mean if figure["sd"] is None else f"{mean} ± {scale * figure['sd']:.{digits}f}"


def make_head(names: Sequence[str]) -> list[str]:
    """Return the first two lines of a Markdown table."""
    return [make_row(names), make_row(["---"] * len(names))]


def make_row(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _lines(result: Figures) -> Iterator[str]:
    yield f"# Experiment 003: {describe(result)}"
    yield ""
    yield from _conditions(result)
    tables = result["tables"]
    yield from _classification(result, tables["classification"])
    yield from _controls(tables)
    yield from _reconstruction(result, tables["reconstruction"])
    yield from (
        "## Figure 3 or 4",
        "",
        "One image per class, drawn at random from the unseen ones: the image, its latent as it",
        "travels, and what the site's own decoder makes of the latent.",
        "",
        f"![images, latents and reconstructions]({result['name']}.png)",
    )
    if result["grid"]:
        yield from _grid(result["grid"])


def describe(result: Figures) -> str:
    """Return in words what was run; what is as in the paper goes without saying."""
    plan = result["plan"]
    words = [
        f"{plan['data']}, {plan['latent']} numbers as {plan['dtype']}",
        f"{plan['augment']} augmented copies" if plan["augment"] else "",
        "two classes per client" if plan["non_iid"] else "",
        {"shared": "", "one-client": "one client's encoder", "own": "own encoders"}[
            plan["encoder"]
        ],
        "best of a grid" if result["grid"] else "",
    ]
    return ", ".join(word for word in words if word)


def _conditions(result: Figures) -> Iterator[str]:
    data, conditions = result["data"], result["conditions"]
    seeds, first = result["seeds"], result["seeds"][0]
    versions = ", ".join(f"{name} {number}" for name, number in conditions["versions"].items())
    yield f"- {data['pixels']} pixels, {len(data['classes'])} classes: " + (
        f"{data['public_images']:,} public images, {len(data['images_per_client'])} clients with "
        f"{data['images_per_client'][0]:,} each, {data['test_images']:,} test images"
    )
    yield {
        "shared": "- one encoder, trained on the public images, shared by all clients",
        "one-client": "- one encoder, trained on the first client's images, shared by all clients",
        "own": "- every client trains an encoder, and the server a classifier for each of them",
    }[result["plan"]["encoder"]]
    if "patients_in_training_and_test" in data:
        yield f"- {data['patients_in_training_and_test']} patients are in training and test"
    yield (
        f"- real clients, server and broker: {first['sent']:,} latents sent, "
        f"{first['acknowledged']:,} acknowledged, {first['stored']:,} stored; "
        f"{first['requests']:,} questions, {first['replies']:,} replies"
    )
    yield f"- {first['latent_bytes']:,} bytes a latent, {first['message_bytes']:,} with its message"
    yield (
        f"- seeds {', '.join(str(seed['seed']) for seed in seeds)} (division, initialisation and "
        "order); mean ± sample standard deviation"
    )
    yield f"- test set sha256 `{first['digests']['test'][:16]}`; all digests are in the JSON file"
    yield (
        f"- {conditions['date']}, {conditions['seconds']:.0f} s on {conditions['machine']}; "
        f"{versions}"
    )
    yield ""


def _classification(result: Figures, table: Figures) -> Iterator[str]:
    is_the_papers = result["data"]["name"] == paper.COMPARABLE
    yield from ("## Table II: classification, accuracy in %", "")
    yield from make_head(
        ["class", *table, *(["paper, 1,000 unseen, one run"] if is_the_papers else [])]
    )
    for name in [TOTAL, *result["data"]["classes"]]:
        accuracies = [
            format_mean(figures[name]["accuracy"], 2, percent=True) if name in figures else ""
            for figures in table.values()
        ]
        theirs = [f"{paper.CLASSIFICATION[name]:.2f}"] if is_the_papers else []
        yield make_row([name, *accuracies, *theirs])
    errors = [
        f"{subset}: {format_mean(figures[TOTAL]['l1_error'], 4)}"
        for subset, figures in table.items()
    ]
    yield ""
    yield f"`l1_error` (equation 10, lower is better): {'; '.join(errors)}"
    yield ""


def _controls(tables: Figures) -> Iterator[str]:
    controls = tables["controls"]
    yield "## Controls: accuracy in %, same classifier, same copies"
    yield ""
    yield from make_head(["", *controls])
    own = {
        subset: figures[TOTAL]["accuracy"] for subset, figures in tables["classification"].items()
    }
    yield make_row(
        ["**this experiment**"] + [format_mean(own[subset], 2, percent=True) for subset in controls]
    )
    for name in next(iter(controls.values())):
        yield make_row(
            [name] + [format_mean(controls[subset][name], 2, percent=True) for subset in controls]
        )
    yield ""


def _reconstruction(result: Figures, table: Figures) -> Iterator[str]:
    yield "## Table I: reconstruction"
    for subset, figures in table.items():
        scores = figures["reconstruction"]
        yield ""
        yield from make_head([subset, *(f"`{score}`" for score in _SCORES)])
        for name in [TOTAL, *result["data"]["classes"]]:
            if name in scores:
                yield make_row(
                    [name]
                    + [
                        format_mean(scores[name][score], digits)
                        for score, digits in _SCORES.items()
                    ]
                )
        yield ""
        yield _small_print(result, figures)
    yield ""


def _small_print(result: Figures, figures: Figures) -> str:
    """Return the readings of the paper's table I, with what pictures that show nothing score."""
    readings = []
    for name, scores in figures.items():
        total = scores[TOTAL]
        readings.append(
            f"{name} {_percent_left(total['mse'])} / {_percent_left(total['delta_eq9'])}"
        )
    text = "1 - mse / 1 - equation 9 as printed, in %: " + ", ".join(readings)
    if result["data"]["name"] == paper.COMPARABLE:
        text += f"; the paper prints {paper.RECONSTRUCTION[TOTAL]}"
    return f"<sub>{text}</sub>"


def _percent_left(figure: Figures) -> str:
    return f"{100 * (1 - figure['mean']):.2f}"


def _grid(grid: Figures) -> Iterator[str]:
    yield ""
    yield f"## Grid search (validation: {grid['validation']})"
    yield ""
    yield from make_head(["learning rate", "dropout", "hidden units", "accuracy in %"])
    for row in grid["rows"]:
        hidden = "-".join(map(str, row["hidden"]))
        yield make_row(
            [f"{row['learning_rate']:g}", f"{row['dropout']:g}", hidden, f"{row['accuracy']:.2%}"]
        )


def round_figures(value: Any) -> Any:
    """Return figures with six digits after the point, which is more than repeats."""
    if isinstance(value, dict):
        return {name: round_figures(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [round_figures(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value

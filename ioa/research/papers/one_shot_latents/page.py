"""Results in Markdown: the page of each, with tables and conditions, and all side by side."""

from collections.abc import Iterator, Sequence

from ioa.research.papers.one_shot_latents import paper
from ioa.research.papers.one_shot_latents.division import WHOLE
from ioa.research.reporting.conditions import format_versions
from ioa.research.reporting.markdown import make_table
from ioa.research.reporting.results import Figures
from ioa.research.reporting.spread import format_percent, format_spread

_SCORES = {"mse": 4, "psnr_db": 1, "ssim": 3, "skill": 3}
"""The scores of table I and how many digits are shown."""
_MIXED = "own encoders, pooled"
_CONTROLS = ("raw pixels, same classifier", "untrained encoder", "one client alone", _MIXED)
_NOTES = """\
All use the classifier, settings, division and copies of the experiment. Raw pixels and the latents
of the untrained encoder are float32; one client alone means the latents of the first."""
_POOLED = """\
"Own encoders, pooled" mixes the latents of five encoders, each trained by one client on its own
images from initial weights of its own. The server refuses to do that; it is computed beside it."""
_FIGURE = """\
One image per class, drawn at random from the test: the image, its latent as it travels,
and what the site's own decoder makes of the latent."""


def render_page(result: Figures) -> str:
    """Return the page of a result."""
    lines = [
        *(f"# Experiment 003: {describe(result)}", ""),
        *_conditions(result),
        *_classification(result),
        *_controls(result),
        *_reconstruction(result),
        *("## Figure 3 or 4", "", _FIGURE, ""),
        f"![images, latents and reconstructions]({result['name']}.png)",
        *(_grid(result["grid"]) if result["grid"] else ()),
    ]
    return "\n".join(lines) + "\n"


def render_summary(results: Sequence[Figures]) -> str:
    """Return a table of results, the paper's data first: accuracies and controls in %, bytes ..."""
    head = ["experiment 003", "1,000 unseen", WHOLE, *_CONTROLS, "mse", "skill", "bytes a latent"]
    ordered = sorted(results, key=lambda result: (not paper.is_its_data(result), result["name"]))
    first = ["the paper, MNIST, one run", paper.CLASSIFICATION["total"], *([""] * 8)]
    return "\n".join(make_table(head, [first, *map(_summarise, ordered)])) + "\n"


def describe(result: Figures) -> str:
    """Return in words what was run; what is as in the paper is not mentioned."""
    plan = result["plan"]
    encoders = {"shared": "", "one-client": "one client's encoder", "own": "own encoders"}
    words = [
        f"{plan['data']}, {plan['latent']} numbers as {plan['dtype']}",
        f"{plan['augment']} augmented copies" if plan["augment"] else "",
        "two classes per client" if plan["non_iid"] else "",
        encoders[plan["encoder"]],
        "best of a grid" if result["grid"] else "",
        "few training steps" if plan.get("quick") else "",
        "replayed" if "replayed" in result["seeds"][0] else "",
    ]
    return ", ".join(word for word in words if word)


def _describe_learned(seed: Figures) -> str:
    if "replayed" in seed:
        return f"{seed['stored']:,} latents of an earlier run replayed (`{seed['replayed'][:16]}`)"
    return (
        f"{seed['sent']:,} latents sent, {seed['acknowledged']:,} acknowledged, "
        f"{seed['stored']:,} stored"
    )


def _conditions(result: Figures) -> Iterator[str]:
    data, conditions = result["data"], result["conditions"]
    first = result["seeds"][0]
    yield (
        f"- {data['pixels']} pixels, {len(data['classes'])} classes; "
        f"{len(data['images_per_client'])} clients with {data['images_per_client'][0]:,} images "
        f"each, {data['test_images']:,} test images, the same for every seed"
    )
    yield {
        "shared": f"- one encoder for all clients, trained on {data['public_images']:,} public "
        "images that no client holds",
        "one-client": "- one encoder for all clients, trained on the first client's images",
        "own": "- every client trains an encoder, and the server a classifier for each of them",
    }[result["plan"]["encoder"]]
    if "patients_in_training_and_test" in data:
        yield f"- {data['patients_in_training_and_test']} patients are in training and test"
    yield (
        f"- real clients, server and broker: {_describe_learned(first)}; "
        f"{first['requests']:,} questions, {first['replies']:,} replies; "
        f"{first['latent_bytes']:,} bytes a latent, {first['message_bytes']:,} with its message"
    )
    yield (
        f"- seeds {', '.join(str(seed['seed']) for seed in result['seeds'])}: division of the "
        "training images, initial weights and order; mean ± sample standard deviation"
    )
    yield f"- test set sha256 `{first['digests']['test'][:16]}`; all digests are in the JSON file"
    yield (
        f"- {conditions['date']}, {conditions['seconds']:.0f} s on {conditions['machine']}; "
        f"{format_versions(conditions['versions'])}"
    )
    yield ""


def _classification(result: Figures) -> Iterator[str]:
    table, theirs = result["tables"]["classification"], paper.is_its_data(result)
    rows = []
    for name in ["total", *result["data"]["classes"]]:
        scores = [_find(figures, name).get("accuracy") for figures in table.values()]
        last = [paper.CLASSIFICATION[name]] if theirs else []
        rows.append([name, *map(format_percent, scores), *last])
    yield from ("## Table II: classification, accuracy in %", "")
    last = ["paper, 1,000 unseen, one run"] if theirs else []
    yield from make_table(["class", *table, *last], rows)
    errors = [f"{name} {format_spread(of['total']['l1_error'], 4)}" for name, of in table.items()]
    yield from ("", f"`l1_error` (equation 10, lower is better): {', '.join(errors)}", "")


def _controls(result: Figures) -> Iterator[str]:
    controls, table = result["tables"]["controls"], result["tables"]["classification"]
    ours = [format_percent(figures["total"]["accuracy"]) for figures in table.values()]
    names = list(next(iter(controls.values())))
    rows = [[name, *(format_percent(controls[subset][name]) for subset in table)] for name in names]
    yield from ("## Controls: accuracy in %", "")
    yield from make_table(["", *controls], [["**this experiment**", *ours], *rows])
    yield from ("", _NOTES)
    if _MIXED in names:
        yield _POOLED
    yield ""


def _reconstruction(result: Figures) -> Iterator[str]:
    theirs = paper.is_its_data(result)
    small = ["<sub>1 - mse, %</sub>", *(["<sub>paper's table I, %</sub>"] if theirs else [])]
    yield "## Table I: reconstruction"
    for subset, guesses in result["tables"]["reconstruction"].items():
        rows = []
        for name in ["total", *result["data"]["classes"]]:
            if scores := _find(guesses["reconstruction"], name):
                cells = [format_spread(scores[score], digits) for score, digits in _SCORES.items()]
                last = [_left(scores["mse"]), *([paper.RECONSTRUCTION[name]] if theirs else [])]
                rows.append([name, *cells, *(f"<sub>{text}</sub>" for text in last)])
        yield ""
        yield from make_table([subset, *(f"`{score}`" for score in _SCORES), *small], rows)
        # What pictures that show nothing score, by two readings of the paper's table I.
        readings = [
            f"{name} {_left(figures['total']['mse'])} / {_left(figures['total']['delta_eq9'])}"
            for name, figures in guesses.items()
        ]
        text = f"1 - mse / 1 - equation 9 as printed, in %: {', '.join(readings)}"
        yield from ("", f"<sub>{text}</sub>")
    yield ""


def _left(figure: Figures) -> str:
    return f"{100 * (1 - figure['mean']):.2f}"


def _find(figures: Figures, name: str) -> Figures:
    """Return the scores in total or of a class; empty where a subset has no image of it."""
    scores: Figures = figures["total"] if name == "total" else figures["classes"].get(name, {})
    return scores


def _grid(grid: Figures) -> Iterator[str]:
    rows = [
        [
            *(
                f"{row['learning_rate']:g}",
                f"{row['dropout']:g}",
                "-".join(map(str, row["hidden"])),
            ),
            f"{100 * row['accuracy']:.2f}",
        ]
        for row in grid["rows"]
    ]
    yield from ("", "## Grid search", "", grid["validation"], "")
    yield from make_table(["learning rate", "dropout", "hidden units", "accuracy in %"], rows)


def _summarise(result: Figures) -> list[str]:
    tables = result["tables"]
    unseen = next(iter(tables["classification"]))
    # Controls are judged on the larger set, where the draw of the images matters less.
    largest = WHOLE if WHOLE in tables["classification"] else unseen
    accuracies = [
        tables["classification"][subset]["total"]["accuracy"] for subset in (unseen, largest)
    ]
    controls = [tables["controls"][largest].get(name) for name in _CONTROLS]
    scores = tables["reconstruction"][largest]["reconstruction"]["total"]
    return [
        *(describe(result), *map(format_percent, [*accuracies, *controls])),
        *(format_spread(scores["mse"], 4), format_spread(scores["skill"], 3)),
        f"{result['seeds'][0]['latent_bytes']:,}",
    ]

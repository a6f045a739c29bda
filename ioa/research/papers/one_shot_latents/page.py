"""A result as a page of Markdown: its tables, and under which conditions they came about."""

from collections.abc import Iterator

from ioa.research.papers.one_shot_latents import paper
from ioa.research.papers.one_shot_latents.tables import Figures
from ioa.research.reporting.markdown import format_mean, make_head, make_row

_SCORES = {"mse": 4, "psnr_db": 1, "ssim": 3, "skill": 3}
"""The scores of table I and the digits worth reading."""
_NOTES = """\
All use the classifier, settings, division and copies of the experiment. Raw pixels and the latents
of the untrained encoder are float32; one client alone means the latents of the first."""
_POOLED = """\
"Own encoders, pooled" mixes the latents of five encoders, each trained by one client on its own
images from initial weights of its own. The server refuses to do that; it is computed beside it."""


def render_page(result: Figures) -> str:
    """Return the page of a result."""
    return "\n".join(_lines(result)) + "\n"


def describe(result: Figures) -> str:
    """Return in words what was run; what is as in the paper goes without saying."""
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


def _lines(result: Figures) -> Iterator[str]:
    yield f"# Experiment 003: {describe(result)}"
    yield ""
    yield from _conditions(result)
    yield from _classification(result)
    yield from _controls(result)
    yield from _reconstruction(result)
    yield from (
        "## Figure 3 or 4",
        "",
        "One image per class, drawn at random from the test: the image, its latent as it travels,",
        "and what the site's own decoder makes of the latent.",
        "",
        f"![images, latents and reconstructions]({result['name']}.png)",
    )
    if result["grid"]:
        yield from _grid(result["grid"])


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
    versions = ", ".join(f"{name} {number}" for name, number in conditions["versions"].items())
    yield (
        f"- {conditions['date']}, {conditions['seconds']:.0f} s on {conditions['machine']}; "
        f"{versions}"
    )
    yield ""


def _classification(result: Figures) -> Iterator[str]:
    table, theirs = result["tables"]["classification"], paper.is_its_data(result)
    yield from ("## Table II: classification, accuracy in %", "")
    yield from make_head(["class", *table, *(["paper, 1,000 unseen, one run"] if theirs else [])])
    for name in ["total", *result["data"]["classes"]]:
        accuracies = [
            format_mean(scores["accuracy"], 2, percent=True) if scores else ""
            for scores in (_find(figures, name) for figures in table.values())
        ]
        yield make_row([name, *accuracies, *([paper.CLASSIFICATION[name]] if theirs else [])])
    errors = [
        f"{subset} {format_mean(figures['total']['l1_error'], 4)}"
        for subset, figures in table.items()
    ]
    yield from ("", f"`l1_error` (equation 10, lower is better): {', '.join(errors)}", "")


def _controls(result: Figures) -> Iterator[str]:
    controls = result["tables"]["controls"]
    names = list(next(iter(controls.values())))
    yield from ("## Controls: accuracy in %", "")
    yield from make_head(["", *controls])
    for name in ["**this experiment**", *names]:
        accuracies = [
            controls[subset].get(name) or figures["total"]["accuracy"]
            for subset, figures in result["tables"]["classification"].items()
        ]
        yield make_row([name, *(format_mean(one, 2, percent=True) for one in accuracies)])
    yield from ("", _NOTES)
    if "own encoders, pooled" in names:
        yield _POOLED
    yield ""


def _reconstruction(result: Figures) -> Iterator[str]:
    theirs = paper.is_its_data(result)
    yield "## Table I: reconstruction"
    for subset, guesses in result["tables"]["reconstruction"].items():
        figures = guesses["reconstruction"]
        yield ""
        small = ["<sub>1 - mse, %</sub>", *(["<sub>paper's table I, %</sub>"] if theirs else [])]
        yield from make_head([subset, *(f"`{score}`" for score in _SCORES), *small])
        for name in ["total", *result["data"]["classes"]]:
            if (scores := _find(figures, name)) is None:
                continue
            cells = [format_mean(scores[score], digits) for score, digits in _SCORES.items()]
            small = [_left(scores["mse"]), *([paper.RECONSTRUCTION[name]] if theirs else [])]
            yield make_row([name, *cells, *(f"<sub>{text}</sub>" for text in small)])
        yield from ("", f"<sub>{_small_print(guesses)}</sub>")
    yield ""


def _small_print(guesses: Figures) -> str:
    """Return what pictures that show nothing score by two readings of the paper's table I."""
    readings = []
    for name, figures in guesses.items():
        total = figures["total"]
        readings.append(f"{name} {_left(total['mse'])} / {_left(total['delta_eq9'])}")
    return "1 - mse / 1 - equation 9 as printed, in %: " + ", ".join(readings)


def _left(figure: Figures) -> str:
    return f"{100 * (1 - figure['mean']):.2f}"


def _find(figures: Figures, name: str) -> Figures | None:
    """Return the scores in total or of a class, None where a subset has no image of it."""
    scores: Figures | None = figures["total"] if name == "total" else figures["classes"].get(name)
    return scores


def _grid(grid: Figures) -> Iterator[str]:
    yield from ("", "## Grid search", "", grid["validation"], "")
    yield from make_head(["learning rate", "dropout", "hidden units", "accuracy in %"])
    for row in grid["rows"]:
        hidden = "-".join(map(str, row["hidden"]))
        accuracy = f"{100 * row['accuracy']:.2f}"
        yield make_row([f"{row['learning_rate']:g}", f"{row['dropout']:g}", hidden, accuracy])

"""Results in Markdown: the page of each, and all side by side."""

from collections.abc import Iterator, Sequence

from ioa.research.papers.early_exit import paper
from ioa.research.papers.early_exit.link import ALONE, AT_ONCE, FORMULA, RAW, SPLIT, name_once
from ioa.research.papers.early_exit.plan import PACKINGS
from ioa.research.reporting.conditions import format_versions
from ioa.research.reporting.markdown import make_table
from ioa.research.reporting.results import Figures
from ioa.research.reporting.spread import format_percent, format_spread

_WAYS = """\
The centre trains edge and main network as one on raw pixels; split training has the same gradients,
so its accuracy is that of the centre, and only its time is another. At once means: the edge learns
from its exit while the main network learns from the maps of the same batch as int8. Centre and at
once are trained in a process beside the services, in batches of 64. Maps once go through the real
client, broker and server, and so do the images of which the exit is not sure; edge and main network
are trained one after the other, each for all epochs."""
_SECONDS = """\
Edge and cloud are process seconds per epoch on one thread of this machine, the parts in turn, in
batches of 64 (`ioa encoder train` takes 32). The link is modelled, not measured. Split training
waits for the answer to every batch. Acknowledgements of stored messages are not counted. Power: not
measured."""
_EXIT = """\
`ioa client ask --exit P`: an image is answered at home where the exit gives a label at least P;
`auto` is the threshold that held-out images of the edge's training gave. Points lost are those
against asking the server about every image, as int8; bytes saved are of values, for each image."""

_ATTACK = """\
`ioa encoder audit`: a decoder is trained on one half of images that nobody has learned from and on
their maps, and restores the other half. Maps are not private; rounding hides next to nothing."""


def render_page(result: Figures) -> str:
    """Return the page of a result."""
    lines = [
        *(f"# Experiment 001, early exits: {describe(result)}", ""),
        *_conditions(result),
        *_accuracy(result),
        *_walls(result),
        *_savings(result),
        *_exits(result),
        *_attack(result),
        *("## Figure", "", "Modelled time of the whole training against the bandwidth.", ""),
        f"![modelled time against bandwidth]({result['name']}.png)",
    ]
    return "\n".join(lines) + "\n"


def render_summary(results: Sequence[Figures]) -> str:
    """Return a table of results: accuracies in %, time saved, what is answered at home."""
    ways = [RAW, AT_ONCE, *map(name_once, PACKINGS), ALONE]
    saved = "int8: time saved against split at 1 / 10 Mbit/s, %"
    head = ["experiment 001", *ways, saved, "exit auto: at home, %", "points lost"]
    first = ["the paper", *[""] * len(ways), paper.TIME_SAVED.removesuffix(" %"), "", ""]
    rows = [_summarise(result, ways) for result in sorted(results, key=lambda of: str(of["name"]))]
    return "\n".join(make_table(head, [first, *rows])) + "\n"


def describe(result: Figures) -> str:
    """Return in words what was run."""
    plan = result["plan"]
    words = [
        plan["data"],
        f"{plan['size']} pixels" if plan["size"] else "",
        "few epochs" if plan["quick"] else "",
        "replayed" if "replayed" in result["seeds"][0] else "",
    ]
    return ", ".join(word for word in words if word)


def _conditions(result: Figures) -> Iterator[str]:
    data, conditions, first = result["data"], result["conditions"], result["seeds"][0]
    yield (
        f"- {data['pixels']} pixels, {len(data['classes'])} classes; {data['learned_images']:,} "
        f"images to learn from, {data['test_images']:,} test images, the same for every seed; "
        f"{result['training']['epochs']} epochs of every training"
    )
    yield (
        f"- real clients, server and broker: {first['sent']:,} maps sent, "
        f"{first['acknowledged']:,} acknowledged, {first['stored']:,} stored; "
        f"{first['requests']:,} questions, {first['replies']:,} replies"
    )
    yield (
        f"- seeds {', '.join(str(seed['seed']) for seed in result['seeds'])}: images, initial "
        "weights and order; mean ± sample standard deviation"
    )
    yield f"- test set sha256 `{first['digests']['test'][:16]}`; networks of seed 0: " + ", ".join(
        f"`{name[:12]}`" for name in first["network_ids"]
    )
    yield (
        f"- {conditions['date']}, {conditions['seconds']:.0f} s on {conditions['machine']}; "
        f"{format_versions(conditions['versions'])}"
    )
    yield ""


def _accuracy(result: Figures) -> Iterator[str]:
    tables = result["tables"]
    rows = [
        [
            name,
            format_percent(tables["accuracy"][name]),
            format_percent(tables["lost"][name]),
            *(f"{course[way]['mean']:,.0f}" for way in ("bytes_up", "bytes_down")),
            f"{course['sendings']['mean']:.0f}" if course["bytes_up"]["mean"] else "0",
            format_spread(course["edge_seconds"], 2),
            format_spread(course["cloud_seconds"], 2),
        ]
        for name, course in tables["courses"].items()
    ]
    head = ["", "accuracy, %", "points lost against the centre", "bytes up an image"]
    head += ["bytes down", "how often", "edge, s/epoch", "cloud, s/epoch"]
    yield from ("## Accuracy, bytes and seconds", "")
    yield from make_table(head, rows)
    yield from ("", _WAYS, "", _SECONDS, "")


def _walls(result: Figures) -> Iterator[str]:
    head, mbps = _bandwidths(result)
    rows = [
        [name, *(_format_seconds(course[wall][at]) for wall in _WALLS for at in mbps)]
        for name, course in result["tables"]["courses"].items()
    ]
    yield from ("## Modelled time of the whole training, seconds", "")
    yield from make_table(["", *head], rows)
    yield from ("", "```", FORMULA, "```", "")


def _savings(result: Figures) -> Iterator[str]:
    head, mbps = _bandwidths(result)
    yield from ("## Time saved, %", "")
    for against in (SPLIT, RAW):
        rows = [
            [name, *(_save(result, name, against, wall, at) for wall in _WALLS for at in mbps)]
            for name in result["tables"]["courses"]
            if name != against
        ]
        yield from make_table([f"against {against}", *head], rows)
        yield ""
    yield from (paper.TIME_SAVED_PRINTED, "")


def _exits(result: Figures) -> Iterator[str]:
    rows = [
        [
            threshold,
            *(
                format_percent(figures.get(name))
                for name in ("share_at_home", "accuracy_at_home", "accuracy", "lost")
            ),
            format_spread(figures["saved_bytes"], 0),
        ]
        for threshold, figures in result["tables"]["exit"].items()
    ]
    head = ["threshold", "answered at home, %", "right at home, %", "right in all, %"]
    yield from ("## Local exit when it is sure", "")
    yield from make_table([*head, "points lost", "bytes saved"], rows)
    yield from ("", _EXIT, "")


def _attack(result: Figures) -> Iterator[str]:
    rows = [
        [name, *(format_spread(scores[score], digits) for score, digits in _SCORES.items())]
        for name, scores in result["tables"]["attack"].items()
    ]
    yield from ("## Decoder attack on the maps", "")
    yield from make_table(["what is guessed from", *(f"`{score}`" for score in _SCORES)], rows)
    yield from ("", _ATTACK, "")


_SCORES = {"psnr_db": 1, "ssim": 3, "skill": 3}
_WALLS = ("wall_equal", "wall_slower")


def _bandwidths(result: Figures) -> tuple[list[str], list[str]]:
    """Return the columns, an equal edge first, and the names of the bandwidths."""
    slower = f"edge {result['plan']['edge_slower']:g} x slower"
    mbps = [f"{at:g}" for at in result["plan"]["mbps"]]
    return [f"{edge}, {at} Mbit/s" for edge in ("equal edge", slower) for at in mbps], mbps


def _format_seconds(figure: Figures) -> str:
    """Return seconds with one digit after the point below a minute."""
    seconds = figure["mean"]
    return f"{seconds:.1f}" if seconds < 60 else f"{seconds:,.0f}"


def _save(result: Figures, name: str, against: str, wall: str, at: str) -> str:
    """Return how many percent of another way's time a way saves, below 0 where it takes longer."""
    courses = result["tables"]["courses"]
    seconds, other = (float(courses[which][wall][at]["mean"]) for which in (name, against))
    return f"{100 * (1 - seconds / other):.0f}"


def _summarise(result: Figures, ways: Sequence[str]) -> list[str]:
    tables, once = result["tables"], name_once("int8")
    saved = [_save(result, once, SPLIT, "wall_equal", at) for at in _bandwidths(result)[1][:2]]
    auto = tables["exit"]["auto"]
    return [
        describe(result),
        *(format_percent(tables["accuracy"][way]) for way in ways),
        " / ".join(saved),
        *map(format_percent, (auto["share_at_home"], auto["lost"])),
    ]

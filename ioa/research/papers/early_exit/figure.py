"""The figure: how long each way to train takes, against the bandwidth of the link."""

import numpy as np

from ioa.research.papers.early_exit.link import Course
from ioa.research.reporting.pictures import encode_png, make_figure
from ioa.research.reporting.results import Figures

_MBPS = np.geomspace(0.5, 200, 40)
_WIDTH, _HEIGHT = 11.0, 4.8


def draw_courses(result: Figures) -> bytes:
    """Return the figure as PNG: an edge as fast as the cloud at the left, a slower at the right."""
    figure = make_figure(_WIDTH, _HEIGHT)
    slower = result["plan"]["edge_slower"]
    axes = figure.subplots(1, 2, sharey=True)
    titles = ("edge as fast as the cloud", f"edge {slower:g} x slower")
    images, epochs = result["data"]["learned_images"], result["training"]["epochs"]
    for axis, slowness, title in zip(axes, (1.0, slower), titles, strict=True):
        for name, figures in result["tables"]["courses"].items():
            course = read_course(figures)
            seconds = [course.model_seconds(images, epochs, mbps, slowness) for mbps in _MBPS]
            axis.plot(_MBPS, seconds, label=name)
        axis.set(xscale="log", yscale="log", xlabel="bandwidth in Mbit/s", title=title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds of the whole training")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return encode_png(figure)


def read_course(figures: Figures) -> Course:
    """Return a course with the means of all seeds."""
    means = {
        name: figure["mean"]
        for name, figure in figures.items()
        if name not in {"wall_equal", "wall_slower"}
    }
    return Course(
        up=means["bytes_up"],
        edge=means["edge_seconds"],
        cloud=means["cloud_seconds"],
        encoding=means["encoding_seconds"],
        down=means["bytes_down"],
        sendings=int(means["sendings"]),
        round_trips=int(means["round_trips"]),
        side_by_side=bool(means["side_by_side"]),
    )

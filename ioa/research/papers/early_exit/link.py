"""How long a training takes over a link: computing was measured, the link is a model."""

from collections.abc import Mapping
from dataclasses import dataclass

from ioa.research.papers.early_exit.plan import PACKINGS

FORMULA = """\
wall = 8 x images x sendings x (up + down) / bandwidth + round trips x 0.05 s + computing;
computing = slowness x encoding + epochs x (slowness x edge + cloud), or, where edge and cloud train
side by side, epochs x max(slowness x edge, cloud)"""
ROUND_TRIP = 0.05
"""Seconds until the answer to a step begins to arrive."""

RAW = "raw images to the centre"
SPLIT = "split training, gradients come back"
AT_ONCE = "exit and server at once (the paper)"
ALONE = "local exit alone"


@dataclass(frozen=True)
class Course:
    """What one way to train does.

    Attributes:
        up, down: bytes of an image each time that it travels.
        sendings: how often it travels.
        round_trips: answers that the edge waits for, in the whole training.
        edge, cloud: process seconds per epoch.
        encoding: process seconds of the edge to make the maps of all images once.
        side_by_side: whether edge and cloud train at once.
    """

    up: float
    edge: float
    cloud: float
    encoding: float = 0.0
    down: float = 0.0
    sendings: int = 1
    round_trips: int = 0
    side_by_side: bool = False

    def model_seconds(self, images: int, epochs: int, mbps: float, slowness: float) -> float:
        """Return the seconds of a whole training on ``images`` over a link of ``mbps`` Mbit/s."""
        link = 8 * (self.up + self.down) * images * self.sendings / (1e6 * mbps)
        edge = slowness * self.edge
        computing = max(edge, self.cloud) if self.side_by_side else edge + self.cloud
        encoding = slowness * self.encoding
        return link + ROUND_TRIP * self.round_trips + encoding + epochs * computing


def name_once(packing: str) -> str:
    """Return the name of the row in which maps go up once in a packing."""
    return f"edge first, maps once: {packing}"


def list_courses(
    seconds: Mapping[str, float], up: Mapping[str, float], *, steps: int, epochs: int
) -> dict[str, Course]:
    """Return the ways to train by name.

    Args:
        seconds: process seconds per epoch of the parts, as ``measure_seconds`` returns them.
        up: bytes of a raw image, and of its maps in each packing.
        steps: of one epoch of split training.
    """
    edge, main, local = (seconds[name] for name in ("edge_split", "main", "edge_exit"))
    floats, waits = up["float32"], steps * epochs
    once = {
        name_once(packing): Course(up[packing], local, main, encoding=seconds["edge_forward"])
        for packing in PACKINGS
    }
    return {
        RAW: Course(up["raw"], edge=0.0, cloud=edge + main),
        SPLIT: Course(floats, edge, main, down=floats, sendings=epochs, round_trips=waits),
        AT_ONCE: Course(up["int8"], local, main, sendings=epochs, side_by_side=True),
        **once,
        ALONE: Course(up=0.0, edge=local, cloud=0.0),
    }

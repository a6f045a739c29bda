"""The heads by name. A new head is a file and a row here; commands read it without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUTO = "auto"
"""``conv`` for maps [C, H, W], ``mlp`` for vectors [D]."""


@dataclass(frozen=True, slots=True)
class Head:
    """One way to learn.

    Attributes:
        module: beside this file, with the function ``fit``.
        epochs: passes over the latents where the settings name none.
        fixed: settings that it does not leave open.
        needs_maps: whether it takes maps [C, H, W] only; the others take maps as rows of numbers.
    """

    module: str
    epochs: int = 25
    fixed: Mapping[str, Any] = field(default_factory=dict)
    needs_maps: bool = False


HEADS: Mapping[str, Head] = {
    "mlp": Head("mlp"),
    "linear": Head("mlp", fixed={"hidden": (), "dropout": 0.0}),
    "ncm": Head("nearest_mean", fixed={"epochs": 1, "min_steps": 1}),
    "conv": Head("convolution", epochs=5, needs_maps=True),
}


def check_head(name: str) -> str:
    """Return the name of a head. Raises ValueError where there is no such head."""
    if name not in HEADS:
        raise ValueError(f"{name[:20]!r} is no head; there are {', '.join(HEADS)}")
    return name

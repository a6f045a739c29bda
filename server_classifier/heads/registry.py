"""The heads by name. A new head is a file and a row here; its file is imported when it is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server_classifier.heads.head import Fit

AUTO = "auto"
"""``conv`` for maps [C, H, W], ``mlp`` for vectors [D]."""


@dataclass(frozen=True, slots=True)
class Head:
    """One way to learn.

    Attributes:
        module: with the function ``fit``, beside this file.
        epochs: passes over the latents where the settings name none.
        fixed: settings that it does not leave open.
        needs_maps: whether it takes maps [C, H, W] only; the others take maps as rows of numbers.
    """

    module: str
    epochs: int = 25
    fixed: Mapping[str, Any] = field(default_factory=dict)
    needs_maps: bool = False

    def load(self) -> "Fit":
        """Return its function ``fit``."""
        fit: Fit = import_module(f"server_classifier.heads.{self.module}").fit
        return fit


HEADS: Mapping[str, Head] = {
    "mlp": Head("mlp"),
    "linear": Head("mlp", fixed={"hidden": (), "dropout": 0.0}),
    "ncm": Head("nearest_mean", fixed={"epochs": 1, "min_steps": 1}),
    "conv": Head("convolution", epochs=5, needs_maps=True),
}

"""How one run of the experiment on early exits is configured, and its result named."""

from dataclasses import dataclass
from typing import ClassVar

from ioa.errors import UsageError
from ioa.research.lab.plan import PaperPlan
from schemas.vector import Packing
from server_classifier.heads.settings import TrainingSettings

PACKINGS: tuple[Packing, ...] = ("float32", "int8", "int4", "jpeg")
"""How maps travel; each client of the experiment sends the same images in one of them."""
THRESHOLDS = ("0.9", "0.95", "0.99", "auto")
"""How sure the local exit must be; as many as there are clients."""

_QUICK_EPOCHS = 4


@dataclass(frozen=True)
class Plan(PaperPlan):
    """How the experiment is run.

    Attributes:
        epochs: passes of every training over the images.
        size: images are resized to so many pixels a side; None keeps them up to 32 pixels.
        mbps: bandwidths of the modelled link, in Mbit/s.
        edge_slower: how many times slower than the cloud the second edge is.
        quick: train everything in few epochs, to see that it works, not how well.

    Raises:
        UsageError: a bandwidth or the slowness is not positive.
    """

    experiment: ClassVar[str] = "001"

    epochs: int = 6
    size: int | None = None
    mbps: tuple[float, ...] = (1.0, 10.0, 100.0)
    edge_slower: float = 10.0
    quick: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "mbps", tuple(self.mbps))  # a list, where it was read from JSON
        if not self.mbps or min(*self.mbps, self.edge_slower) <= 0:
            raise UsageError("bandwidths and the slowness of the edge must be above 0")

    @property
    def passes(self) -> int:
        """Passes of every training over the images."""
        return _QUICK_EPOCHS if self.quick else self.epochs

    @property
    def training(self) -> TrainingSettings:
        """How the server trains: for as many epochs as all others."""
        return TrainingSettings(epochs=self.passes, min_steps=1)

    @property
    def name(self) -> str:
        """The name of the result's files, such as ``001-chest_xray-32px``."""
        words = [
            self.experiment,
            self.source,
            f"{self.size}px" if self.size else "",
            "quick" if self.quick else "",
        ]
        return "-".join(word for word in words if word)


PLANS = [Plan("digits", epochs=20), Plan("mnist.npz"), Plan("chest_xray.npz", epochs=10, size=32)]
"""Those behind the tables; of chest_xray they are made locally."""

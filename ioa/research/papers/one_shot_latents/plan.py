"""How one run of the experiment by Salehinejad et al. is configured, and its result named."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from ioa.errors import UsageError
from server_classifier.heads.settings import TrainingSettings

Encoding = Literal["shared", "own", "one-client"]
Dtype = Literal["int8", "float32"]

EXPERIMENT = "003"
_SEEDS = 3  # of the committed tables
_QUICK_EPOCHS = 10
_QUICK_TRAINING = TrainingSettings(epochs=5, min_steps=60)


@dataclass(frozen=True)
class Plan:
    """How the experiment is run; the defaults are the paper's, as far as it gives them.

    Attributes:
        data: an image source that ``client_autoencoder.images.sources`` opens.
        seeds: how many runs, each with another division, initialisation and order.
        latent: numbers per image.
        dtype: how latents travel.
        augment: changed copies that a client sends of each image, besides the image.
        non_iid: every client holds images of two classes only.
        encoder: ``shared`` is trained on public images, ``one-client`` on those of the first
            client; with ``own`` every client trains its own.
        size: images are resized to so many pixels a side; None keeps them up to 32 pixels.
        grid: search learning rate, dropout and width first.
        quick: train everything in few steps, to see that it works, not how well.
        clients: how many there are, as in the paper.

    Raises:
        UsageError: the options contradict each other.
    """

    clients: ClassVar[int] = 5

    data: str
    seeds: int = 3
    latent: int = 784
    dtype: Dtype = "float32"
    augment: int = 0
    non_iid: bool = False
    encoder: Encoding = "shared"
    size: int | None = None
    grid: bool = False
    quick: bool = False

    def __post_init__(self) -> None:
        if self.grid and self.encoder == "own":
            raise UsageError("--grid needs one classifier; with --encoder own there are five")

    @property
    def wants_own_encoders(self) -> bool:
        """Whether mixed latents of own encoders are one of the controls."""
        return self.encoder == "own" or self.non_iid

    @property
    def encoder_epochs(self) -> int | None:
        """Passes over the images of an encoder; None for as many as improve it."""
        return _QUICK_EPOCHS if self.quick else None

    @property
    def training(self) -> TrainingSettings:
        """How classifiers are trained, where no grid is searched."""
        return _QUICK_TRAINING if self.quick else TrainingSettings()

    @property
    def source(self) -> str:
        """The name of the data, such as ``mnist``, as part of a file name."""
        path = Path(self.data).resolve()
        name = path.name if path.is_dir() else path.stem
        return re.sub(r"[^\w.-]+", "-", name.lower())

    @property
    def name(self) -> str:
        """The name of the result's files, such as ``003-mnist-784-float32-augment10``."""
        words = [
            EXPERIMENT,
            self.source,
            str(self.latent),
            self.dtype,
            f"{self.size}px" if self.size else "",
            f"augment{self.augment}" if self.augment else "",
            "non-iid" if self.non_iid else "",
            self.encoder if self.encoder != "shared" else "",
            "grid" if self.grid else "",
            "quick" if self.quick else "",
        ]
        return "-".join(word for word in words if word)

    def write(self, directory: Path) -> None:
        """Write the plan for the processes that read it."""
        (directory / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: Path) -> "Plan":
        """Read what ``write`` wrote."""
        return cls(**json.loads((directory / "plan.json").read_text()))


def list_plans(data_dir: Path | None) -> tuple[list[Plan], list[str]]:
    """Return the plans behind the committed tables with data here, and the files of the others."""
    known = [
        Plan("digits", _SEEDS, 16, "int8"),
        Plan("mnist.npz", _SEEDS, augment=10),
        Plan("mnist.npz", _SEEDS),
        Plan("mnist.npz", _SEEDS, 64, "int8"),
        Plan("mnist.npz", _SEEDS, 64, "int8", augment=10),
        Plan("mnist.npz", _SEEDS, 64, "int8", non_iid=True),
        Plan("mnist.npz", _SEEDS, encoder="one-client"),
        Plan("mnist.npz", _SEEDS, encoder="own"),
        Plan("mnist.npz", _SEEDS, grid=True),
        Plan("medical_mnist.npz", _SEEDS),
        Plan("medical_mnist.npz", _SEEDS, augment=10),
        Plan("chest_xray.npz", _SEEDS),
        Plan("chest_xray.npz", _SEEDS, augment=10),
    ]
    plans: list[Plan] = []
    missing: dict[str, None] = {}
    for plan in known:
        if plan.data == "digits":
            plans.append(plan)
        elif data_dir is not None and (data_dir / plan.data).exists():
            plans.append(replace(plan, data=str(data_dir / plan.data)))
        else:
            missing[plan.data] = None
    return plans, list(missing)

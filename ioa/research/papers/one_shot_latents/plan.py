"""What one run of the third seed's experiment is told; it names the files of its result."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from ioa.errors import SettingsError
from server_classifier.heads.settings import TrainingSettings

Encoding = Literal["shared", "own", "one-client"]
Dtype = Literal["int8", "float32"]

_QUICK_EPOCHS = 10
_QUICK_TRAINING = TrainingSettings(epochs=5, min_steps=60)


@dataclass(frozen=True)
class Plan:
    """How the experiment is run; the defaults are the paper's, as far as it gives them.

    Attributes:
        data: an image source that ``client_autoencoder.images.sources`` opens.
        seeds: how often, each time with another division, initialisation and order.
        latent: numbers per image.
        dtype: how they travel.
        augment: changed copies that a client sends of each image, besides the image.
        non_iid: every client holds images of two classes only.
        encoder: ``shared`` is trained on public images, ``one-client`` on those of the first
            client; with ``own`` every client trains one for itself.
        size: images are resized to so many pixels a side; None keeps them up to 32 pixels.
        grid: search learning rate, dropout and width first.
        quick: train everything in few steps, to see that it works and not how well.

    Raises:
        SettingsError: what is asked for does not go together.
    """

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
            raise SettingsError("--grid needs one classifier; with --encoder own there are five")

    @property
    def wants_own_encoders(self) -> bool:
        """Whether mixed latents of own encoders are worth a look beside the result."""
        return self.encoder == "own" or self.non_iid

    @property
    def encoder_epochs(self) -> int | None:
        """Passes over the images of an encoder; None for as many as do it good."""
        return _QUICK_EPOCHS if self.quick else None

    @property
    def training(self) -> TrainingSettings:
        """How classifiers are trained, where no grid says otherwise."""
        return _QUICK_TRAINING if self.quick else TrainingSettings()

    @property
    def source(self) -> str:
        """The name of the data, such as ``mnist``, fit for the name of a file."""
        path = Path(self.data).resolve()
        name = path.name if path.is_dir() else path.stem
        return re.sub(r"[^\w.-]+", "-", name.lower())

    @property
    def name(self) -> str:
        """Of the result's files, such as ``003-mnist-784-float32-augment10``."""
        parts = [
            "003",
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
        return "-".join(part for part in parts if part)

    def on(self, data: str) -> "Plan":
        """Return the same plan on other data."""
        return replace(self, data=data)

    def write(self, directory: Path) -> None:
        """Write the plan for the processes that read it."""
        (directory / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: Path) -> "Plan":
        """Read what ``write`` wrote."""
        return cls(**json.loads((directory / "plan.json").read_text()))

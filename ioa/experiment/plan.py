"""What one run of the third seed's experiment is told; it names the files of its result."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

Encoding = Literal["shared", "own", "one-client"]
Dtype = Literal["int8", "float32"]


@dataclass(frozen=True)
class Plan:
    """How the experiment is run; the defaults are the paper's, as far as it gives them.

    Attributes:
        data: an image source that ``client_autoencoder.image_sources`` opens.
        seeds: how often, each time with another division, initialisation and order.
        latent: numbers per image.
        dtype: how they travel.
        augment: changed copies that a client sends of each image, besides the image.
        non_iid: every client holds images of two classes only.
        encoder: ``shared`` is trained on public images, ``one-client`` on those of the first
            client; with ``own`` every client trains one for itself.
        size: images are resized to so many pixels a side; None keeps them up to 32 pixels.
        grid: search learning rate, dropout and width first.
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

    @property
    def source(self) -> str:
        """The name of the data, such as ``mnist``."""
        return "digits" if self.data == "digits" else Path(self.data).resolve().stem.lower()

    @property
    def name(self) -> str:
        """Of the result's files, such as ``003-mnist-784-float32-augment10``."""
        parts = [
            "003",
            self.source,
            str(self.latent),
            self.dtype,
            f"augment{self.augment}" if self.augment else "",
            "non-iid" if self.non_iid else "",
            self.encoder if self.encoder != "shared" else "",
            "grid" if self.grid else "",
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

"""How one run of the experiment by Salehinejad et al. is configured, and its result named."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ioa.errors import UsageError
from ioa.research.lab.plan import PaperPlan
from server_classifier.heads.settings import TrainingSettings

Encoding = Literal["shared", "own", "one-client"]
Dtype = Literal["int8", "float32"]

_QUICK_EPOCHS = 10
_QUICK_TRAINING = TrainingSettings(epochs=5, min_steps=60)


@dataclass(frozen=True)
class Plan(PaperPlan):
    """How the experiment is run; the defaults are the paper's, as far as it gives them.

    Attributes:
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

    experiment: ClassVar[str] = "003"
    clients: ClassVar[int] = 5

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
    def name(self) -> str:
        """The name of the result's files, such as ``003-mnist-784-float32-augment10``."""
        words = [
            self.experiment,
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


PLANS = [
    Plan("digits", latent=16, dtype="int8"),
    Plan("mnist.npz", augment=10),
    Plan("mnist.npz"),
    Plan("mnist.npz", latent=64, dtype="int8"),
    Plan("mnist.npz", latent=64, dtype="int8", augment=10),
    Plan("mnist.npz", latent=64, dtype="int8", non_iid=True),
    Plan("mnist.npz", encoder="one-client"),
    Plan("mnist.npz", encoder="own"),
    Plan("mnist.npz", grid=True),
    Plan("medical_mnist.npz"),
    Plan("medical_mnist.npz", augment=10),
    Plan("chest_xray.npz"),
    Plan("chest_xray.npz", augment=10),
]
"""Those behind the committed tables, and others whose results are made locally."""

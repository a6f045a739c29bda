"""How a classifier is trained; light to import, so that every process can check its settings."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from server_classifier.heads.registry import AUTO, HEADS, check_head

Width = Annotated[int, Field(ge=1, le=4096)]
HeadName = Annotated[str, AfterValidator(check_head)]


class TrainingSettings(BaseModel):
    """The head of a classifier, its sizes, and the schedule on which it learns.

    Example:
        >>> from server_classifier import TrainingSettings
        >>> TrainingSettings(head="linear", epochs=10).epochs_for(5_000)
        10
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    head: Literal["auto"] | HeadName = Field(
        AUTO, description="mlp, linear, ncm or conv; auto: conv for maps, mlp for latents"
    )
    hidden: tuple[Width, ...] = Field(
        (256, 128, 64),
        max_length=8,
        description="units of each hidden layer; none: linear",
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="share of a layer's outputs that a training step leaves out"
    )
    batch_size: int = Field(
        64, ge=2, description="latents per step of a small set; all steps are of equal size"
    )
    largest_batch_size: int = Field(
        256, ge=2, description="to which batches grow before `max_steps` cuts epochs short"
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="passes over the latents, within what the next two allow; by default 25, or 5 "
        "of conv",
    )
    min_steps: int = Field(
        600, ge=1, description="a small set is passed more often, until there were so many steps"
    )
    max_steps: int = Field(
        10_000, ge=1, description="a large set is passed less often, but at least once"
    )
    learning_rate: float = Field(
        1e-2, gt=0, le=10, description="the peak of the one-cycle schedule"
    )
    weight_decay: float = Field(
        1e-2, ge=0, description="of AdamW, on the weights of the linear layers"
    )

    def resolve(self, *, maps: bool) -> "TrainingSettings":
        """Return them with the head by its name, and with all that this head decides."""
        name = self.head if self.head != AUTO else "conv" if maps else "mlp"
        head = HEADS[name]
        own = {"head": name, "epochs": self.epochs or head.epochs, **head.fixed}
        return self.model_copy(update=own)

    @property
    def shape(self) -> "TrainingSettings":
        """The settings that networks must share to train at once; the others at their defaults."""
        own = {"dropout", "learning_rate", "weight_decay"}
        return TrainingSettings(**self.model_dump(exclude=own))

    def steps_for(self, rows: int) -> int:
        """Return the number of steps of one epoch over ``rows`` latents, two at least.

        A set too large for all epochs within ``max_steps`` gets larger batches first: on 55,000
        latents, 25 epochs in batches of 138 are better than 11 in batches of 64.

        No step gets a single latent, which has no variance for batch normalisation: of an odd set
        in batches of 2, one step takes 3.
        """
        needed = math.ceil(rows * self._passes / self.max_steps)
        batch_size = max(self.batch_size, min(needed, self.largest_batch_size))
        return min(math.ceil(rows / batch_size), rows // 2)

    def epochs_for(self, rows: int) -> int:
        """Return the number of epochs over ``rows`` latents, two at least."""
        steps = self.steps_for(rows)
        fewest = math.ceil(self.min_steps / steps)
        return max(1, min(max(self._passes, fewest), self.max_steps // steps))

    @property
    def _passes(self) -> int:
        return self.epochs or self.resolve(maps=False).epochs or 1

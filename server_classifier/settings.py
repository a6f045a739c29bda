"""The settings of the server's services."""

import socket
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.messages.labels import check_label
from server_classifier.heads.settings import TrainingSettings


def _keep_label(label: str) -> str:
    check_label(label)
    return label


class ServerSettings(BaseModel):
    """The database, the label space, when to retrain, and how.

    Raises:
        pydantic.ValidationError: a value is outside its bounds, or a name unknown.

    Example:
        >>> from server_classifier import ServerSettings
        >>> ServerSettings(labels=["chest", "hand"]).train_interval_seconds
        30.0
    """

    model_config = ConfigDict(extra="forbid")

    database_url: str = "sqlite:///ioa.db"
    labels: list[Annotated[str, AfterValidator(_keep_label)]] | None = Field(
        None, description="the declared label space; without it any label may be learned"
    )
    max_labels: int = Field(
        1000,
        ge=1,
        description="how many labels may be learned where none are declared; a message with one "
        "more becomes a dead letter",
    )
    train_interval_seconds: float = Field(
        30.0, gt=0, description="retrain so long after the last time when anything is new"
    )
    train_min_new_rows: int = Field(
        500, ge=1, description="retrain at once when so many latents are new"
    )
    max_rows: int = Field(
        200_000, ge=2, description="latents to train on at most; of more, a stratified draw"
    )
    seed: int = Field(0, ge=0, description="of initial weights, order, dropout and draw")
    instance: str = Field(
        default_factory=socket.gethostname,
        description="this process among others of its kind; by default named after the host",
    )
    health: str | None = Field(
        None, description="[HOST:]PORT of /healthz, /readyz and /metrics; without it there are none"
    )
    training: TrainingSettings = TrainingSettings()

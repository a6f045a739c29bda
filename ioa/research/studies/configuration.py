"""The configuration of a study: ``conf.toml``, read strictly."""

import json
import tomllib
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from ioa.errors import StudyError
from ioa.research.reporting.records import describe_faults
from server_classifier.heads.registry import AUTO
from server_classifier.heads.settings import HeadName, TrainingSettings

Entry = TypeVar("Entry")


def _check_entries(values: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if not values:
        raise ValueError("state one at least")
    if len(set(values)) < len(values):
        raise ValueError("something is in it twice")
    return values


Distinct = Annotated[tuple[Entry, ...], AfterValidator(_check_entries)]


class Split(BaseModel, frozen=True, extra="forbid"):
    """Which latents are tested on; those of one subject, image or message stay together.

    Attributes:
        folds: cross-validation: every latent is tested on once for each seed.
        hold_out: ``site``: each site in turn is tested on and the others are learned from;
            ``subject``: a share of the subjects is tested on, drawn by the seed.
        share: of the subjects, with ``hold_out = "subject"``.
    """

    folds: int | None = Field(None, ge=2, le=100)
    hold_out: Literal["site", "subject"] | None = None
    share: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _fit_together(self) -> "Split":
        if (self.folds is None) == (self.hold_out is None):
            raise ValueError('state either folds = 5, or hold_out = "site" or "subject"')
        if (self.hold_out == "subject") != (self.share is not None):
            raise ValueError('hold_out = "subject" and share = 0.2 belong together')
        return self


class StudyConfig(BaseModel, frozen=True, extra="forbid"):
    """A study: every dataset, encoder, head and settings with every seed and fold.

    Attributes:
        database: where the datasets are; without it, the database of the server's settings. It is
            never written to a file, because it may hold a password.
        encoders: ids; without them, the one encoder of each dataset.
        settings: all combinations of the values that the file lists.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    database: str | None = Field(None, exclude=True)
    datasets: Distinct[str]
    encoders: Distinct[str] | None = None
    heads: Distinct[HeadName] = ("mlp",)
    seeds: Distinct[Annotated[int, Field(ge=0, lt=2**32)]] = (0, 1, 2)
    split: Split = Split(folds=5)
    settings: Distinct[TrainingSettings] = (TrainingSettings(),)

    @model_validator(mode="after")
    def _have_one_place_for_heads(self) -> "StudyConfig":
        named = [settings.head for settings in self.settings if settings.head != AUTO]
        if named:
            raise ValueError(f'settings.head: name it in heads = ["{named[0]}"]')
        return self


def read_config(path: Path) -> StudyConfig:
    """Read a study's file.

    Raises:
        StudyError: it is missing or not TOML, or a key is unknown, missing or wrong; the text
            names file and key.
    """
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StudyError(f"{path} is not TOML: {error}") from error
    settings = document.get("settings", {})
    if isinstance(settings, dict):
        document["settings"] = combine(settings)
    try:
        # From JSON, an array may become a tuple although the validation is strict.
        return StudyConfig.model_validate_json(json.dumps(document, default=str), strict=True)
    except ValidationError as error:
        raise StudyError(f"{path}: {describe_faults(error)}") from error


def combine(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all combinations of settings of which some have a list of values.

    ``hidden`` is a list by itself: it varies where it is a list of lists.
    """
    choices = [value if _varies(name, value) else [value] for name, value in settings.items()]
    return [dict(zip(settings, chosen, strict=True)) for chosen in product(*choices)]


def _varies(name: str, value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return name != "hidden" or isinstance(value[0], list)

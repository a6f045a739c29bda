"""How one run of a paper's experiment is configured; each paper adds what it leaves open."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Self, TypeVar

_SEEDS = 3  # of the committed tables


@dataclass(frozen=True)
class PaperPlan(ABC):
    """What every experiment is told.

    Attributes:
        experiment: its number, the same for all plans of a paper.
        data: an image source that ``client_autoencoder.images.sources`` opens.
        seeds: how many runs, each with another division, initialisation and order.
    """

    experiment: ClassVar[str]

    data: str
    seeds: int = _SEEDS

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the result's files; it begins with the number of the experiment."""

    @property
    def source(self) -> str:
        """The name of the data, such as ``mnist``, as part of a file name."""
        path = Path(self.data).resolve()
        name = path.name if path.is_dir() else path.stem
        return re.sub(r"[^\w.-]+", "-", name.lower())

    def describe(self) -> dict[str, object]:
        """Return the plan for the result's file, with the name of the data for its place."""
        return asdict(self) | {"data": self.source}

    def write(self, directory: Path) -> None:
        """Write the plan for the processes that read it."""
        (directory / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read what ``write`` wrote."""
        return cls(**json.loads((directory / "plan.json").read_text()))


Plan = TypeVar("Plan", bound=PaperPlan)


def find_data(known: Sequence[Plan], data_dir: Path | None) -> tuple[list[Plan], list[str]]:
    """Return the plans whose data are in a folder or need no file, and the files of the others."""
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

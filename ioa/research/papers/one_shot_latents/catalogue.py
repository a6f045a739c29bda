"""The runs behind our tables: which plans, on which data."""

from dataclasses import dataclass
from pathlib import Path

from ioa.research.papers.one_shot_latents.plan import Plan

SEEDS = 3


@dataclass(frozen=True)
class Catalogue:
    """What can be run with the data at hand, and the files that are missing for the rest."""

    plans: list[Plan]
    missing: list[str]


def list_plans(data_dir: Path | None) -> Catalogue:
    """Return the plans for scikit-learn's digits and for the sets that lie in ``data_dir``."""
    wanted = {
        "digits": [Plan("digits", SEEDS, 16, "int8")],
        "mnist.npz": [
            Plan("mnist.npz", SEEDS, augment=10),
            Plan("mnist.npz", SEEDS),
            Plan("mnist.npz", SEEDS, 64, "int8"),
            Plan("mnist.npz", SEEDS, 64, "int8", augment=10),
            Plan("mnist.npz", SEEDS, 64, "int8", non_iid=True),
            Plan("mnist.npz", SEEDS, encoder="one-client"),
            Plan("mnist.npz", SEEDS, encoder="own"),
            Plan("mnist.npz", SEEDS, grid=True),
        ],
        "medical_mnist.npz": [
            Plan("medical_mnist.npz", SEEDS),
            Plan("medical_mnist.npz", SEEDS, augment=10),
        ],
        "chest_xray.npz": [
            Plan("chest_xray.npz", SEEDS),
            Plan("chest_xray.npz", SEEDS, augment=10),
        ],
    }
    plans: list[Plan] = []
    missing: list[str] = []
    for name, chosen in wanted.items():
        if name == "digits":
            plans += chosen
        elif data_dir is not None and (data_dir / name).exists():
            plans += [plan.on(str(data_dir / name)) for plan in chosen]
        else:
            missing.append(name)
    return Catalogue(plans, missing)

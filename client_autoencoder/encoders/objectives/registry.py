"""The objectives by name."""

from client_autoencoder.encoders.objectives.contrastive import CONTRASTIVE
from client_autoencoder.encoders.objectives.exit import EXIT
from client_autoencoder.encoders.objectives.objective import Objective
from client_autoencoder.encoders.objectives.reconstruction import RECONSTRUCTION
from client_autoencoder.errors import ClientError

OBJECTIVES: dict[str, Objective] = {
    "reconstruction": RECONSTRUCTION,
    "exit": EXIT,
    "contrastive": CONTRASTIVE,
}


def find_objective(name: str) -> Objective:
    """Return the objective of a name.

    Raises:
        ClientError: there is none.
    """
    if name not in OBJECTIVES:
        raise ClientError(f"{name!r} is no objective; known: {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]

"""The attacks by name."""

from client_autoencoder.audit.attack import Attack
from client_autoencoder.audit.attribute_attack import ATTRIBUTE
from client_autoencoder.audit.label_attack import LABEL
from client_autoencoder.audit.reconstruction_attack import RECONSTRUCTION
from client_autoencoder.audit.reidentification_attack import REIDENTIFICATION
from client_autoencoder.errors import ClientError

ATTACKS: dict[str, Attack] = {
    "reconstruction": RECONSTRUCTION,
    "label": LABEL,
    "attribute": ATTRIBUTE,
    "reidentification": REIDENTIFICATION,
}


def find_attack(name: str) -> Attack:
    """Return the attack of a name.

    Raises:
        ClientError: there is none.
    """
    if name not in ATTACKS:
        raise ClientError(f"{name!r} is no attack; known: {', '.join(ATTACKS)}")
    return ATTACKS[name]

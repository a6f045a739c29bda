"""An attacker who reads from a release what it was not made for, such as the sex of a patient.

A release that tells the wanted label tells whatever goes with that label. So the floor is an
attacker that is told the label and sees no release: what is above it is leaked beyond need.
"""

import torch

from client_autoencoder.audit.attack import Attack, Known
from client_autoencoder.audit.classification import HEADLINE, ClassAttacker, fit_classes
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.errors import ClientError

_TRUTH = "the attributes [N]"


def fit_attribute(
    public: Known, generator: torch.Generator, options: TrainingOptions | None = None
) -> ClassAttacker:
    """Train classifiers of an attribute on public releases.

    Raises:
        ClientError: ``public`` does not say what is told, the wanted labels.
    """
    if public.told is None:
        raise ClientError("the floor of an attribute follows from the wanted labels: tell them")
    return fit_classes(public, generator, options or TrainingOptions(), _TRUTH)


ATTRIBUTE = Attack(fit_attribute, truth=_TRUTH, headline=HEADLINE)

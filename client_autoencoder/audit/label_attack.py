"""An attacker who reads the label from a release; the floor is always to name the majority."""

from dataclasses import replace

import torch

from client_autoencoder.audit.attack import Attack, Known
from client_autoencoder.audit.classification import HEADLINE, ClassAttacker, fit_classes
from client_autoencoder.encoders.fitting import TrainingOptions

_TRUTH = "the labels [N]"


def fit_label(
    public: Known, generator: torch.Generator, options: TrainingOptions | None = None
) -> ClassAttacker:
    """Train classifiers of labels on public releases."""
    untold = replace(public, told=None)
    return fit_classes(untold, generator, options or TrainingOptions(), _TRUTH)


LABEL = Attack(fit_label, truth=_TRUTH, headline=HEADLINE)

"""An attacker who finds out whose release it is, among N candidates, by the nearest neighbour.

The candidates are what the same network makes of N images: of the victims' own images, or of other
images of the same persons. Releases and candidates are standardised, each by their own public mean
and spread, and compared by distance and by angle; the better counts. The floor is 1 / N.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from client_autoencoder.audit.attack import Attack, Figures, Known, check_truth
from client_autoencoder.audit.learning import Standardiser
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.errors import ClientError
from stream.threads import one_thread

_TRUTH = "the candidates' encodings [N, ...], row n of the person of release n"
_HEADLINE = "found"
_BATCH = 256


class ReidentificationAttacker:
    """Compares releases with candidates. Use ``fit_reidentification``."""

    def __init__(self, released: nn.Module, candidates: nn.Module) -> None:
        self._released = released
        self._candidates = candidates

    def score(self, victims: Known) -> Figures:
        """Return the share of releases whose own candidate is the nearest, of all candidates."""
        released = self._released(torch.from_numpy(victims.released)).flatten(1)
        candidates = self._candidates(torch.from_numpy(victims.truth)).flatten(1)
        with one_thread(torch):
            each = {
                "by_distance": _find(released, candidates),
                "by_angle": _find(normalize(released), normalize(candidates)),
            }
        return {_HEADLINE: max(each.values()), **each}

    def floor(self, victims: Known) -> Figures:
        """Return the chance to guess one of the candidates."""
        return {_HEADLINE: 1 / len(victims.truth)}


def fit_reidentification(
    public: Known, generator: torch.Generator, options: TrainingOptions | None = None
) -> ReidentificationAttacker:
    """Learn the mean and the spread of public releases and encodings; nothing is drawn.

    Raises:
        ClientError: releases and encodings differ in shape, so that they cannot be compared.
    """
    check_truth(public, (2, 4), _TRUTH)
    if public.truth.shape != public.released.shape:
        raise ClientError(
            f"releases of shape {list(public.released.shape[1:])} cannot be compared with "
            f"candidates of shape {list(public.truth.shape[1:])}"
        )
    released, encodings = torch.from_numpy(public.released), torch.from_numpy(public.truth)
    return ReidentificationAttacker(Standardiser(released), Standardiser(encodings))


def _find(released: Tensor, candidates: Tensor) -> float:
    """Return how often the nearest candidate is the own one; a tie counts by its share."""
    shares = []
    numbers = torch.arange(len(released))[:, None]
    for batch, own in zip(torch.split(released, _BATCH), torch.split(numbers, _BATCH), strict=True):
        distances = torch.cdist(batch, candidates)
        nearest = distances == distances.amin(dim=1, keepdim=True)
        shares.append(nearest.gather(1, own)[:, 0] / nearest.sum(dim=1))
    return float(torch.cat(shares).mean())


REIDENTIFICATION = Attack(fit_reidentification, truth=_TRUTH, headline=_HEADLINE)

"""Attackers who sort releases into classes: a perceptron, a logistic regression, and neighbours.

All three are trained from scratch, and the best counts. The figure is the balanced accuracy: the
mean over the classes of the share that is recognised. So a rare class counts as much as a frequent
one, and a guess that is always the same, such as the majority, reaches 1 / P of P classes.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from client_autoencoder.audit.attack import Figures, Known, Truth, Values, check_truth
from client_autoencoder.audit.learning import Standardiser, learn
from client_autoencoder.encoders.fitting import TrainingOptions, run
from client_autoencoder.errors import ClientError
from stream.threads import one_thread

HEADLINE = "balanced_accuracy"

_HIDDEN = 128
_NEIGHBOURS = 10


class ClassAttacker:
    """Three classifiers of releases, and what follows from what everybody knows anyway.

    Args:
        names: of the classes, in the order of the classifiers' outputs.
        classifiers: by name; each makes scores [N, P] of releases.
        guess: names the likeliest class [N] of images of which this is told, [N].
    """

    def __init__(
        self,
        names: Truth,
        classifiers: Mapping[str, nn.Module],
        guess: Callable[[Truth], Truth],
    ) -> None:
        self._names = names
        self._classifiers = classifiers
        self._guess = guess

    def score(self, victims: Known) -> Figures:
        """Return the balanced accuracy of the best classifier, and that of each."""
        each = {
            name: _balance(self._names[self._classify(classifier, victims.released)], victims.truth)
            for name, classifier in self._classifiers.items()
        }
        return {HEADLINE: max(each.values()), **each}

    def floor(self, victims: Known) -> Figures:
        """Return the balanced accuracy of guessing from what is told, or from nothing."""
        return {HEADLINE: _balance(self._guess(_list_told(victims)), victims.truth)}

    def _classify(self, classifier: nn.Module, released: Values) -> NDArray[np.int64]:
        with one_thread(torch):
            chosen: NDArray[np.int64] = (
                run(classifier, torch.from_numpy(released)).argmax(1).numpy()
            )
        return chosen


def fit_classes(
    public: Known, generator: torch.Generator, options: TrainingOptions, truth: str
) -> ClassAttacker:
    """Train three classifiers on public releases; every class weighs the same.

    Raises:
        ClientError: the public images are all of one class.
    """
    check_truth(public, (1,), truth)
    names, numbers = np.unique(public.truth, return_inverse=True)
    if len(names) < 2:
        raise ClientError(
            f"the public images have one class only, {str(names[0])!r}; name others, too"
        )
    released, targets = torch.from_numpy(public.released), torch.from_numpy(numbers)
    weights = len(targets) / (len(names) * torch.bincount(targets).float())

    def weigh(logits: Tensor, wanted: Tensor) -> Tensor:
        return cross_entropy(logits, wanted, weight=weights)

    networks = {
        "perceptron": _build_perceptron(released[0].numel(), len(names)),
        "logistic": nn.Sequential(nn.Flatten(), nn.Linear(released[0].numel(), len(names))),
    }
    classifiers: dict[str, nn.Module] = {
        name: learn(network, (released, targets), options, generator, weigh)
        for name, network in networks.items()
    }
    classifiers["neighbours"] = _Neighbours(released, one_hot(targets) * weights)
    return ClassAttacker(names, classifiers, _learn_guess(public))


def _build_perceptron(inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, classes)
    )


class _Neighbours(nn.Module):
    """Adds up the votes [N, P] of the ten nearest public releases."""

    def __init__(self, released: Tensor, votes: Tensor) -> None:
        super().__init__()
        self._standardiser = Standardiser(released)
        self._public = self._standardiser(released).flatten(1)
        self._votes = votes

    def forward(self, released: Tensor) -> Tensor:
        distances = torch.cdist(self._standardiser(released).flatten(1), self._public)
        nearest = distances.topk(min(_NEIGHBOURS, len(self._public)), largest=False).indices
        return self._votes[nearest].sum(dim=1)


def _learn_guess(public: Known) -> Callable[[Truth], Truth]:
    """Return the best guess from what is told alone: the class that it makes likelier most.

    Each class weighs the same, as in the figure. What no public image was told gets the majority.
    """
    told = _list_told(public)
    counts = {name: int((public.truth == name).sum()) for name in np.unique(public.truth)}
    majority = max(counts, key=counts.__getitem__)

    def find_likeliest(value: object) -> object:
        alike = public.truth[told == value]
        return max(counts, key=lambda name: (alike == name).sum() / counts[name])

    likeliest = {value: find_likeliest(value) for value in np.unique(told)}
    return lambda values: np.array([likeliest.get(value, majority) for value in values])


def _list_told(known: Known) -> Truth:
    return np.zeros(len(known.truth), np.int64) if known.told is None else known.told


def _balance(named: Truth, truth: Truth) -> float:
    """Return the mean over the classes of the share of their images that are named right."""
    right = named == truth
    return float(np.mean([right[truth == name].mean() for name in np.unique(truth)]))

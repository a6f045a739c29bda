"""Networks of one shape that learn at once; a single one is a stack of one.

Between the products of its matrices, a small network waits for calls that take hardly longer for
eight networks. Here each call is for all of them. Nothing passes from one network to another, so
that each learns what it would alone.

It does so bit for bit, as all layers are widened by zeros, which remain zeros, to whole lines of
the processor's cache. Sums over what begins elsewhere in a line may be rounded in another order.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import batch_norm, pad

from server_classifier.dropout import Dropout
from server_classifier.latent_classifier import LatentClassifier

LINE = 16
"""So many float32 are a line of the cache, and no vector register holds more."""


class NetworkStack:
    """K classifiers in training.

    Attributes:
        weights: all that is learned, [K, W], a row for each network.
        gradients: of the loss, [K, W].
        matrices: the columns of ``weights`` that belong to matrices, a view.
    """

    def __init__(self, models: Sequence[LatentClassifier], dropout: Dropout) -> None:
        """Copy the weights of the models; ``write_back`` gives them what was learned."""
        self._models = models
        self._dropout = dropout
        shapes = [[len(models), *map(widen, part.shape)] for part in _list_parts(models[0])]
        sizes = [torch.Size(shape[1:]).numel() for shape in shapes]
        self.weights = torch.zeros(len(models), sum(sizes))
        self.gradients = torch.zeros_like(self.weights)
        self.matrices = self.weights[:, : sum(sizes[: len(models[0].linear)])]
        columns = self.weights.split(sizes, dim=1)
        self._parts = [part.view(shape) for part, shape in zip(columns, shapes, strict=True)]
        widths = [widen(norm.num_features) for norm in models[0].norms for _ in range(2)]
        self._statistics = [torch.ones(len(models), width) for width in widths]
        for place, source in self._pair():
            place.copy_(source)
        for part in self._parts:
            part.requires_grad_()

    def compute_logits(self, latents: Tensor) -> Tensor:
        """Return logits [K, B, P] in training, with dropout and normalised by the batch.

        Args:
            latents: standardised, [K, B, D widened].
        """
        layers = len(self._models[0].norms)
        hidden = latents
        for number, matrix in enumerate(self._parts[:layers]):
            hidden = self._activate(torch.bmm(hidden, matrix), number)
        logits = torch.baddbmm(self._parts[-1].unsqueeze(1), hidden, self._parts[layers])
        return logits[..., : self._models[0].linear[-1].out_features]

    def _activate(self, sums: Tensor, layer: int) -> Tensor:
        """Normalise [K, B, U] by the batch, cut off what is negative, and drop some of the rest."""
        networks, rows, units = sums.shape
        at = len(self._models[0].linear) + 2 * layer
        gain, shift = self._parts[at : at + 2]
        mean, variance = self._statistics[2 * layer : 2 * layer + 2]
        normalised = batch_norm(
            sums.transpose(0, 1).reshape(rows, networks * units),  # side by side, one call for all
            mean.view(-1),
            variance.view(-1),
            gain.flatten(),
            shift.flatten(),
            training=True,
        )
        kept = self._dropout.apply(normalised.relu_())
        return kept.view(rows, networks, units).transpose(0, 1)

    def compute_gradients(self, losses: Tensor) -> None:
        """Fill ``gradients`` with those of each network's loss [K]."""
        found = torch.autograd.grad(losses.sum(), self._parts)
        torch.cat([part.flatten(1) for part in found], dim=1, out=self.gradients)

    @torch.no_grad()
    def write_back(self) -> None:
        """Give the models what was learned."""
        for place, source in self._pair():
            source.copy_(place)

    def _pair(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each tensor of the models with its place in the stack, both as views."""
        for number, model in enumerate(self._models):
            stacked = [*self._parts, *self._statistics]
            sources = [*_list_parts(model), *_list_statistics(model)]
            for part, source in zip(stacked, sources, strict=True):
                yield part.detach()[number][tuple(map(slice, source.shape))], source.detach()


def widen(width: int) -> int:
    """Return the next multiple of a cache line."""
    return width + -width % LINE


def widen_columns(rows: Tensor) -> Tensor:
    """Return rows [N, D] with zeros behind, up to whole lines."""
    return pad(rows, (0, -rows.shape[1] % LINE))


def _list_parts(model: LatentClassifier) -> list[Tensor]:
    """Return matrices [in, out], then gain and shift of each normalisation, then the last bias."""
    norms = [part for norm in model.norms for part in (norm.weight, norm.bias)]
    return [*(layer.weight.T for layer in model.linear), *norms, model.linear[-1].bias]


def _list_statistics(model: LatentClassifier) -> list[Tensor]:
    return [part for norm in model.norms for part in (norm.running_mean, norm.running_var)]

"""Several networks of one shape that learn at once; a single network is a stack of one.

A small network spends most of its time on the overhead of calls, and a call takes hardly longer for
eight networks. Here each call is for all networks of the stack. The gradients are written out:
torch's autograd would take half as long again. No network reads another's numbers, so that each
learns what it would learn alone.

It does so bit for bit: all layers are widened by zeros, which remain zeros, to whole lines of the
processor's cache. Sums over numbers that begin elsewhere in a line may be rounded in another order.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from server_classifier.heads.perceptron import Perceptron

LINE = 16
"""A cache line holds 16 float32, and no vector register holds more."""

_NEVER = -1e30  # a logit whose probability is 0
_MOMENTUM, _EPSILON = 0.1, 1e-5  # of batch normalisation, torch's defaults


class NetworkStack:
    """K classifiers in training.

    Attributes:
        weights: all that is learned, [K, W], a row for each network.
        gradients: of the loss, [K, W].
        matrices: how many of the first columns belong to matrices.
    """

    def __init__(self, models: Sequence[Perceptron]) -> None:
        """Copy the weights of the models; ``write_back`` copies the learned ones back."""
        self._models = models
        shapes = [
            [len(models), *map(widen, parameter.shape)] for parameter in _list_parameters(models[0])
        ]
        sizes = [torch.Size(shape[1:]).numel() for shape in shapes]
        self.weights = torch.zeros(len(models), sum(sizes))
        self.gradients = torch.zeros_like(self.weights)
        columns = torch.split(self.weights, sizes, dim=1)
        self._parameters = [block.view(shape) for block, shape in zip(columns, shapes, strict=True)]
        *hidden, self._last = self._parameters[: len(models[0].linear)]
        *norms, self._bias = self._parameters[len(hidden) + 1 :]
        self._bias.fill_(_NEVER)  # for the added classes, which do not exist
        self._layers = [
            _HiddenLayer(*own) for own in zip(hidden, norms[::2], norms[1::2], strict=True)
        ]
        self.matrices = sum(sizes[: len(models[0].linear)])
        for stacked, own in self._pair():
            stacked.copy_(own)

    def compute_gradients(
        self, latents: Tensor, targets: Tensor, dropout: Sequence[Tensor]
    ) -> Tensor:
        """Fill ``gradients`` for one batch, and return the losses [K].

        Args:
            latents: standardised and widened, [B, K, D].
            targets: [B, K].
            dropout: factors [B, K, U] for each hidden layer.
        """
        hidden = latents
        for layer, factors in zip(self._layers, dropout, strict=True):
            hidden = layer.forward(hidden, factors)
        inputs = hidden.transpose(0, 1)
        logits = torch.baddbmm(self._bias.unsqueeze(1), inputs, self._last)
        losses, gradient = _compute_loss(logits, targets)
        matrices, norms = [torch.bmm(inputs.mT, gradient)], [gradient.sum(dim=1)]
        following = self._last
        for layer in reversed(self._layers):
            gradient, *found = layer.backward(torch.bmm(gradient, following.mT))
            matrices, norms = [found[0], *matrices], [*found[1:], *norms]
            following = layer.matrix
        torch.cat(
            [gradient.flatten(1) for gradient in (*matrices, *norms)], dim=1, out=self.gradients
        )
        return losses

    def write_back(self) -> None:
        """Copy the learned weights into the models."""
        for stacked, own in self._pair():
            own.copy_(stacked)

    def _pair(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each tensor of the models beside its place in the stack, both as views."""
        statistics = [moment for layer in self._layers for moment in (layer.mean, layer.variance)]
        for number, model in enumerate(self._models):
            tensors = [*_list_parameters(model), *_list_statistics(model)]
            for stacked, own in zip([*self._parameters, *statistics], tensors, strict=True):
                yield stacked[number][tuple(map(slice, own.shape))], own.detach()


class _HiddenLayer:
    """Product, batch normalisation, ReLU and dropout: [B, K, D] to [B, K, U].

    Attributes:
        matrix: [K, D, U].
        mean, variance: [K, U], running, for use after training.
    """

    def __init__(self, matrix: Tensor, gain: Tensor, shift: Tensor) -> None:
        self.matrix, self._gain, self._shift = matrix, gain, shift
        self.mean, self.variance = torch.zeros_like(gain), torch.ones_like(gain)

    def forward(self, inputs: Tensor, factors: Tensor) -> Tensor:
        self._inputs, self._factors = inputs.transpose(0, 1), factors
        self._sums = torch.bmm(self._inputs, self.matrix).transpose(0, 1).flatten(1)
        normalised, *self._moments = torch.native_batch_norm(
            self._sums,
            self._gain.flatten(),
            self._shift.flatten(),
            self.mean.view(-1),
            self.variance.view(-1),
            True,
            _MOMENTUM,
            _EPSILON,
        )
        self._outputs = normalised.relu_().view_as(factors).mul_(factors)
        return self._outputs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return gradients: of the products [K, B, U], matrix, gain and shift [K, ...].

        Args:
            gradient: of the outputs, [K, B, U].
        """
        passed = self._factors * gradient.transpose(0, 1)
        sums, gain, shift = torch.ops.aten.native_batch_norm_backward(
            torch.ops.aten.threshold_backward(passed, self._outputs, 0).flatten(1),
            self._sums,
            self._gain.flatten(),
            None,
            None,
            *self._moments,
            True,
            _EPSILON,
            [True, True, True],
        )
        products = sums.view_as(self._factors).transpose(0, 1)
        matrix = torch.bmm(self._inputs.mT, products)
        return products, matrix, gain.view_as(self._gain), shift.view_as(self._gain)


def _compute_loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy [K] of logits [K, B, P], targets [B, K], and its gradient."""
    rows, truth = len(targets), targets.T.unsqueeze(2)
    log_probabilities = logits.log_softmax(dim=2)
    losses = -log_probabilities.gather(2, truth).mean(dim=1).squeeze(1)
    minus_one = logits.new_full((), -1).expand_as(truth)
    gradient = log_probabilities.exp_().scatter_add_(2, truth, minus_one)
    return losses, gradient.div_(rows)


def widen(width: int) -> int:
    """Return the next multiple of a cache line."""
    return width + -width % LINE


def _list_parameters(model: Perceptron) -> list[Tensor]:
    """Return matrices [in, out], then gain and shift of each normalisation, then the last bias."""
    norms = [tensor for norm in model.norms for tensor in (norm.weight, norm.bias)]
    return [*(layer.weight.T for layer in model.linear), *norms, model.linear[-1].bias]


def _list_statistics(model: Perceptron) -> list[Tensor]:
    names = "running_mean", "running_var"
    return [norm.get_buffer(name) for norm in model.norms for name in names]

"""The head ``mlp``: the training of multilayer perceptrons, several at once.

Salehinejad et al. train a multilayer perceptron in mini-batches of 64 on what the database holds;
our batches grow with the set. Every training starts from scratch: a warm start forgets the classes
of sites that sent earlier.
"""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from server_classifier.heads.dropout import Dropout
from server_classifier.heads.head import Learner, OnEpoch, Trained, TrainingError, conclude
from server_classifier.heads.moments import SMALLEST_SCALE
from server_classifier.heads.network_stack import NetworkStack, widen
from server_classifier.heads.perceptron import Perceptron
from server_classifier.heads.settings import TrainingSettings
from server_classifier.heads.values import Targets, Values, read
from stream.threads import one_thread


def fit(
    values: Values, targets: Targets, learners: Sequence[Learner], on_epoch: OnEpoch | None
) -> list[Trained | TrainingError]:
    """Train perceptrons at once; their settings have the same ``shape``."""
    started = time.perf_counter()
    with one_thread(torch):
        latents = read(values, slice(None))
        spread = latents.std(dim=0, correction=0)
        mean, scale = latents.mean(dim=0), torch.where(spread > SMALLEST_SCALE, spread, 1.0)
        classes = int(targets.max()) + 1
        models = [_make_model(learner, mean, scale, classes) for learner in learners]
        inputs = torch.zeros(len(latents), widen(len(mean)))
        torch.sub(latents, mean, out=inputs[:, : len(mean)]).div_(scale)
        losses = _run_epochs(models, inputs, torch.from_numpy(targets), learners, on_epoch)
    seconds = (time.perf_counter() - started) / len(learners)
    return [
        conclude(model, learner, len(values), loss, seconds)
        for model, learner, loss in zip(models, learners, losses, strict=True)
    ]


def _make_model(learner: Learner, mean: Tensor, scale: Tensor, classes: int) -> Perceptron:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(learner.seed)
        model = Perceptron(len(mean), classes, learner.settings)
    model.mean.copy_(mean)
    model.scale.copy_(scale)
    return model.eval()


def _run_epochs(
    models: Sequence[Perceptron],
    latents: Tensor,
    targets: Tensor,
    learners: Sequence[Learner],
    on_epoch: OnEpoch | None,
) -> list[float]:
    """Train in place; return each network's mean loss of the last epoch."""
    settings, rows = [learner.settings for learner in learners], len(latents)
    epochs, batches = settings[0].epochs_for(rows), settings[0].steps_for(rows)
    rngs = [np.random.Generator(np.random.SFC64(learner.seed)) for learner in learners]
    widths = [widen(units) for units in settings[0].hidden]
    dropout = Dropout([model.dropout for model in settings], rngs, widths)
    stack = NetworkStack(models)
    optimizer = _Optimizer(stack, settings, epochs * batches)
    total = torch.zeros(len(models))
    for epoch in range(epochs):
        total.zero_()
        orders = torch.from_numpy(np.stack([rng.permutation(rows) for rng in rngs], axis=1))
        for batch in orders.tensor_split(batches):
            factors = dropout.draw(len(batch))
            total += stack.compute_gradients(latents[batch], targets[batch], factors)
            optimizer.step()
        if on_epoch is not None:
            on_epoch(epoch + 1, epochs)
    stack.write_back()
    return (total / batches).tolist()


class _Optimizer:
    """AdamW on the one-cycle schedule, for each network with its own learning rate and decay.

    Weight decay (Loshchilov & Hutter, ICLR 2019) applies to matrices only, not to biases and batch
    normalisation.
    """

    def __init__(
        self, stack: NetworkStack, settings: Sequence[TrainingSettings], steps: int
    ) -> None:
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for model, weights, gradients in zip(settings, stack.weights, stack.gradients, strict=True):
            split = [stack.matrices, weights.numel() - stack.matrices]
            matrices, others = torch.split(weights, split)
            matrices.grad, others.grad = torch.split(gradients, split)
            groups.setdefault((model.learning_rate, model.weight_decay), []).append(matrices)
            groups.setdefault((model.learning_rate, 0.0), []).append(others)
        params = [{"params": group, "weight_decay": decay} for (_, decay), group in groups.items()]
        self._adam = AdamW(params, fused=True)
        self._schedule = OneCycleLR(self._adam, [peak for peak, _ in groups], total_steps=steps)

    def step(self) -> None:
        """Update the weights by the gradients once."""
        self._adam.step()
        self._schedule.step()

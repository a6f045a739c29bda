"""The gradients that are written out are those of the classifier itself, as torch derives them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from server_classifier.heads.dropout import Dropout
from server_classifier.heads.network_stack import NetworkStack, widen
from server_classifier.heads.perceptron import Perceptron
from server_classifier.heads.settings import TrainingSettings

ROWS, LATENT_DIM, CLASSES = 50, 7, 3
SETTINGS = TrainingSettings(hidden=(20, 9), dropout=0.0)


def make_models(count: int) -> list[Perceptron]:
    torch.manual_seed(0)
    models = [Perceptron(LATENT_DIM, CLASSES, SETTINGS) for _ in range(count)]
    for norm in (norm for model in models for norm in model.norms):
        torch.nn.init.normal_(norm.weight, 1, 0.2)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
    return models


def draw_factors(networks: int) -> tuple[Tensor, ...]:
    rngs = [np.random.Generator(np.random.SFC64(seed)) for seed in range(networks)]
    return Dropout([0.3] * networks, rngs, [widen(units) for units in SETTINGS.hidden]).draw(ROWS)


def differentiate(
    model: Perceptron, latents: Tensor, targets: Tensor, factors: Sequence[Tensor]
) -> Tensor:
    """Let torch fill the gradients of a model with the given dropout; return the loss."""
    hidden = latents
    for linear, norm, drawn in zip(model.linear, model.norms, factors, strict=False):
        hidden = norm(linear(hidden)).relu() * drawn[:, : norm.num_features]
    loss = cross_entropy(model.linear[-1](hidden), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def test_losses_gradients_and_statistics_are_those_that_torch_finds() -> None:
    models, references, factors = make_models(2), make_models(2), draw_factors(2)
    stack = NetworkStack(models)
    latents, targets = torch.randn(ROWS, 2, LATENT_DIM), torch.randint(CLASSES, (ROWS, 2))
    losses = stack.compute_gradients(pad(latents, (0, 9)), targets, factors)
    stack.weights -= 0.5 * stack.gradients
    stack.write_back()
    for number, (model, reference) in enumerate(zip(models, references, strict=True)):
        drawn = [each[:, number] for each in factors]
        loss = differentiate(reference, latents[:, number], targets[:, number], drawn)
        torch.testing.assert_close(losses[number], loss)
        for part in reference.parameters():
            assert part.grad is not None
            part.data -= 0.5 * part.grad
        torch.testing.assert_close(
            dict(model.named_parameters()), dict(reference.named_parameters())
        )
        for norm, wanted in zip(model.norms, reference.norms, strict=True):
            torch.testing.assert_close(norm.running_mean, wanted.running_mean)
            torch.testing.assert_close(norm.running_var, wanted.running_var)


def test_what_a_stack_adds_to_fill_a_line_stays_zero() -> None:
    stack, factors = NetworkStack(make_models(1)), draw_factors(1)
    latents, targets = torch.randn(ROWS, 1, widen(LATENT_DIM)), torch.randint(CLASSES, (ROWS, 1))
    latents[..., LATENT_DIM:] = 0
    stack.compute_gradients(latents, targets, factors)
    learned = sum(part.numel() for part in stack._models[0].parameters())  # noqa: SLF001
    assert int((stack.gradients != 0).sum()) <= learned < stack.gradients.numel()


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    rngs = [np.random.Generator(np.random.SFC64(seed)) for seed in range(3)]
    first, second = Dropout([0.3, 0.0, 0.9], rngs, [128, 64]).draw(1000)
    assert (first.shape, second.shape) == ((1000, 3, 128), (1000, 3, 64))
    lost = (first == 0).float().mean(dim=(0, 2))
    torch.testing.assert_close(lost, torch.tensor([0.3, 0.0, 0.9]), rtol=0, atol=0.01)
    torch.testing.assert_close(first.mean(dim=(0, 2)), torch.ones(3), rtol=0, atol=0.05)
    assert (first[:, 1] == 1).all()

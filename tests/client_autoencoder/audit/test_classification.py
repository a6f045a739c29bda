"""The floors of attackers who sort releases into classes, and how they count."""

import numpy as np
import pytest
import torch

from client_autoencoder.audit.attack import Known
from client_autoencoder.audit.attribute_attack import fit_attribute
from client_autoencoder.audit.label_attack import fit_label
from client_autoencoder.encoders.fitting import TrainingOptions

OPTIONS = TrainingOptions(epochs=20)


def draw_known(truth: list[str], told: list[str] | None = None, shift: float = 0.0) -> Known:
    """Releases [N, 3] of which the first number is ``shift`` for the class y."""
    values = np.random.default_rng(len(truth)).standard_normal((len(truth), 3)).astype(np.float32)
    values[:, 0] += np.float32(shift) * (np.array(truth) == "y")
    return Known(values, np.array(truth), None if told is None else np.array(told))


def test_naming_the_majority_is_the_floor_of_a_label_whatever_is_told() -> None:
    known = draw_known(["x"] * 90 + ["y"] * 10, told=["x"] * 90 + ["y"] * 10)
    attacker = fit_label(known, torch.Generator(), OPTIONS)
    assert attacker.floor(known) == {"balanced_accuracy": 0.5}


def test_what_follows_from_the_label_is_the_floor_of_an_attribute() -> None:
    # Of label a 3 of 4 are y, of label b 1 of 4, so that the label alone names 75 % right.
    truth, told = ["y", "y", "y", "x", "y", "x", "x", "x"] * 10, list("aaaabbbb") * 10
    known = draw_known(truth, told)
    attacker = fit_attribute(known, torch.Generator(), OPTIONS)
    assert attacker.floor(known) == {"balanced_accuracy": pytest.approx(0.75)}
    assert attacker.floor(draw_known(["x", "y"], ["c", "c"])) == {"balanced_accuracy": 0.5}


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    public, victims = (draw_known(["x"] * 380 + ["y"] * 20, shift=6.0) for _ in range(2))
    attacker = fit_label(public, torch.Generator().manual_seed(0), OPTIONS)
    reached = attacker.score(victims)
    assert min(reached.values()) > 0.9
    assert reached["balanced_accuracy"] == max(
        reached[name] for name in ("perceptron", "logistic", "neighbours")
    )


def test_a_class_that_no_public_image_has_is_never_named() -> None:
    attacker = fit_label(draw_known(["x", "y"] * 30, shift=9.0), torch.Generator(), OPTIONS)
    reached = attacker.score(draw_known(["x", "y", "z"] * 20, shift=9.0))
    assert reached["balanced_accuracy"] == pytest.approx(2 / 3, abs=0.05)

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from server_classifier.heads.settings import TrainingSettings


@pytest.mark.parametrize(
    ("rows", "epochs"),
    [
        pytest.param(10, 600, id="tiny: 600 steps"),
        pytest.param(800, 47, id="small: at least 600 steps"),
        pytest.param(5_000, 25, id="the paper's 5,000"),
        pytest.param(55_000, 25, id="large: in larger batches"),
        pytest.param(200_000, 12, id="larger: at most 10,000 steps of 256"),
        pytest.param(9_000_000, 1, id="at least once"),
    ],
)
def test_small_sets_are_passed_more_often_than_large_ones(rows: int, epochs: int) -> None:
    settings = TrainingSettings(
        batch_size=64, largest_batch_size=256, epochs=25, min_steps=600, max_steps=10_000
    )
    assert settings.epochs_for(rows) == epochs


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        pytest.param(25_600, 400, id="just within 10,000 steps of 64"),
        pytest.param(55_000, 399, id="10,000 steps of 138"),
        pytest.param(200_000, 782, id="batches of 256 and no larger"),
    ],
)
def test_batches_grow_before_epochs_are_cut(rows: int, steps: int) -> None:
    assert TrainingSettings(epochs=25, max_steps=10_000).steps_for(rows) == steps


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"),
    [
        pytest.param(64, 64, 1, id="one batch"),
        pytest.param(65, 64, 2, id="33 and 32, not 64 and 1"),
        pytest.param(7, 2, 3, id="3, 2 and 2: nobody alone"),
        pytest.param(8, 2, 4, id="four pairs"),
        pytest.param(2, 64, 1, id="the smallest set"),
    ],
)
def test_no_step_has_a_single_latent(rows: int, batch_size: int, steps: int) -> None:
    assert TrainingSettings(batch_size=batch_size).steps_for(rows) == steps


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("hidden", [64] * 9),
        ("hidden", [64, 4097]),
        ("hidden", [0]),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("batch_size", 1),
        ("epochs", 0),
        ("min_steps", 0),
        ("max_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("weight_decay", -1e-9),
        ("weight_decay", float("nan")),
        ("momentum", 0.9),
        ("head", "svm"),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, wrong: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainingSettings.model_validate({field: wrong})
    assert {fault["loc"][0] for fault in caught.value.errors()} == {field}


def test_networks_of_one_shape_may_differ_in_what_is_their_own() -> None:
    other = TrainingSettings(learning_rate=1e-3, weight_decay=0.0, dropout=0.5)
    assert other.shape == TrainingSettings().shape
    for change in ({"hidden": (8,)}, {"epochs": 3}, {"batch_size": 32}, {"max_steps": 9}):
        assert TrainingSettings(**change).shape != TrainingSettings().shape


def test_settings_are_read_without_torch() -> None:
    code = "import sys, server_classifier.settings; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"

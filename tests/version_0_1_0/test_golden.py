"""A training gives what it gave in version 0.1.0: the same bits on the same machine.

On another one the last bits differ, and with them what a training makes of them: there the scores
must be those of then but for two points.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from stream.networks.int8_weights import WeightType
from tests.version_0_1_0.golden import (
    describe_machine,
    run_experiment,
    train_classifier,
    train_golden_encoder,
)

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
TWO_POINTS = 0.02


@pytest.fixture(scope="module")
def same_machine() -> bool:
    return describe_machine() == GOLDEN["machine"]


@pytest.mark.parametrize("weights", ["int8", "float32"])
def test_an_encoder_is_the_encoder_of_then(weights: WeightType, same_machine: bool) -> None:
    trained, golden = train_golden_encoder(weights), GOLDEN["encoders"][weights]
    assert trained["scores"] == pytest.approx(golden["scores"], abs=TWO_POINTS)
    assert not same_machine or trained == golden


def test_a_classifier_is_the_classifier_of_then(same_machine: bool) -> None:
    trained, golden = train_classifier(), GOLDEN["classifier"]
    assert trained["steps"] == golden["steps"]
    assert trained["scores"] == pytest.approx(golden["scores"], abs=TWO_POINTS)
    assert not same_machine or trained == golden


@pytest.mark.timeout(900)
def test_the_experiment_gives_the_tables_of_then(same_machine: bool, tmp_path: Path) -> None:
    result, golden = run_experiment(tmp_path), GOLDEN["experiment"]
    assert result["seed"] == golden["seed"]
    assert list_totals(result) == pytest.approx(list_totals(golden), abs=TWO_POINTS)
    assert not same_machine or result == golden


def list_totals(result: dict[str, Any]) -> dict[str, float]:
    """Return the scores over all classes that lie between 0 and 1."""
    tables = result["tables"]
    (unseen,) = tables["classification"]
    restored = tables["reconstruction"][unseen]["reconstruction"]["total"]
    found = {
        "accuracy": tables["classification"][unseen]["total"]["accuracy"],
        **tables["controls"][unseen],
        **{name: restored[name] for name in ("mse", "ssim", "skill")},
    }
    return {name: score["mean"] for name, score in found.items()}

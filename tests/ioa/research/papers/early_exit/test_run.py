"""The experiment as a researcher starts it: real clients, server and broker, small images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ioa.errors import UsageError
from ioa.research.papers.early_exit.link import ALONE, AT_ONCE, RAW, SPLIT, name_once
from ioa.research.papers.early_exit.plan import PACKINGS, Plan
from tests.support.commands import run
from tests.support.images import draw_images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPZ file of 8x8 images of three classes, with a test split."""
    train, test = draw_images(300, side=8, seed=1), draw_images(60, side=8, seed=2)
    path = tmp_path_factory.mktemp("data") / "made.npz"
    np.savez(
        path,
        train_images=np.rint(train.images[:, 0] * 255).astype(np.uint8),
        train_labels=np.array(train.labels),
        test_images=np.rint(test.images[:, 0] * 255).astype(np.uint8),
        test_labels=np.array(test.labels),
    )
    return path


def run_experiment(data: Path, out: Path, *options: str) -> dict[str, Any]:
    done = run("experiment", "001", "--data", data, "--out", out, "--quick", "--json", *options)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.timeout(900)
def test_a_run_and_its_replay_give_the_same_accuracies(data: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    first = run_experiment(data, tmp_path / "first", "--keep", kept)
    again = run_experiment(data, tmp_path / "again", "--replay", kept)
    assert again["name"] == f"{first['name']}-replayed"
    accuracies = first["tables"]["accuracy"]
    assert accuracies == again["tables"]["accuracy"]
    assert first["tables"]["exit"] == again["tables"]["exit"]
    (seed,) = first["seeds"]
    assert seed["network_ids"] == again["seeds"][0]["network_ids"]
    assert seed["sent"] == seed["acknowledged"] == seed["stored"] == 300 * len(PACKINGS)
    assert seed["requests"] == seed["replies"] == 60 * len(PACKINGS)
    once = [name_once(packing) for packing in PACKINGS]
    assert set(accuracies) == {RAW, SPLIT, AT_ONCE, *once, ALONE} == set(first["tables"]["courses"])
    assert accuracies[RAW] == accuracies[SPLIT]
    assert all(accuracies[name]["mean"] > 0.6 for name in once)
    # 16 maps of 2x2 numbers: as many bytes as the image has pixels, half, and four times as many.
    up = [first["tables"]["courses"][name]["bytes_up"]["mean"] for name in once[:3]]
    assert up == [256, 64, 32]
    exits = first["tables"]["exit"]
    assert exits["0.9"]["share_at_home"]["mean"] >= exits["0.99"]["share_at_home"]["mean"]
    page = (tmp_path / "first" / "001-made-quick.md").read_text()
    assert "The link is modelled, not measured" in page
    with Image.open(tmp_path / "first" / "001-made-quick.png") as figure:
        assert figure.width > 500


@pytest.mark.parametrize("options", [{"mbps": (1.0, 0.0)}, {"mbps": ()}, {"edge_slower": -1.0}])
def test_a_link_without_speed_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="above 0"):
        Plan("digits", **options)


def test_bandwidths_are_numbers() -> None:
    done = run("experiment", "001", "--data", "digits", "--mbps", "fast")
    assert done.returncode == 2
    assert "--mbps is 'fast'" in done.stderr

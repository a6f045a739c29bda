"""The experiment as a researcher starts it: real clients, server and broker, small images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ioa.errors import SettingsError
from ioa.research.lab.replayed import LEARNED, check_kept
from ioa.research.papers.one_shot_latents.plan import Plan
from tests.support.commands import run
from tests.support.images import draw_images


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NPZ file of 8x8 images of three classes, with a test split that has flagged images."""
    train, test = draw_images(600, side=8, seed=1), draw_images(90, side=8, seed=2)
    path = tmp_path_factory.mktemp("data") / "made.npz"
    np.savez(
        path,
        train_images=np.rint(train.images[:, 0] * 255).astype(np.uint8),
        train_labels=np.array(train.labels),
        test_images=np.rint(test.images[:, 0] * 255).astype(np.uint8),
        test_labels=np.array(test.labels),
        test_near_duplicate=np.arange(90) < 9,
    )
    return path


def run_experiment(data: Path, out: Path, *options: str) -> dict[str, Any]:
    given = ("--data", data, "--latent", "8", "--out", out, "--quick", "--json")
    done = run("experiment", "003", *given, *options)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.timeout(900)
def test_a_run_and_its_replay_give_the_same_tables(data: Path, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    first = run_experiment(data, tmp_path / "first", "--keep", kept)
    again = run_experiment(data, tmp_path / "again", "--replay", kept)
    assert again["name"] == f"{first['name']}-replayed"
    assert first["tables"] == again["tables"]
    (seed,) = first["seeds"]
    assert seed["model_versions"] == again["seeds"][0]["model_versions"]
    assert seed["digests"] == again["seeds"][0]["digests"]
    assert seed["encoder_ids"] == again["seeds"][0]["encoder_ids"]
    assert seed["sent"] == seed["acknowledged"] == seed["stored"] == 400
    assert seed["requests"] == seed["replies"] == 90
    assert (seed["latent_bytes"], first["data"]["test_images"]) == (32, 90)
    accuracies = first["tables"]["classification"]
    assert set(accuracies) == {"90 unseen", "90 unseen, near duplicates left out"}
    assert accuracies["90 unseen"]["total"]["accuracy"]["mean"] > 0.9
    assert set(first["tables"]["controls"]["90 unseen"]) == {
        "raw pixels, same classifier",
        "untrained encoder",
        "one client alone",
    }
    page = (tmp_path / "first" / "003-made-8-float32-quick.md").read_text()
    assert "## Table II" in page
    assert "| total |" in page
    with Image.open(tmp_path / "first" / "003-made-8-float32-quick.png") as figure:
        assert figure.width > 300


@pytest.mark.timeout(900)
def test_own_encoders_of_two_classes_each_cannot_be_pooled(data: Path, tmp_path: Path) -> None:
    result = run_experiment(
        *(data, tmp_path, "--encoder", "own", "--non-iid", "--augment", "1", "--dtype", "int8")
    )
    (seed,) = result["seeds"]
    assert result["name"] == "003-made-8-int8-augment1-non-iid-own-quick"
    assert len(seed["encoder_ids"]) == len(seed["model_versions"]) == 5
    assert seed["sent"] == seed["stored"] == 2 * sum(result["data"]["images_per_client"])
    assert seed["latent_bytes"] == 8
    controls = result["tables"]["controls"]["90 unseen"]
    assert (
        controls["own encoders, pooled"]["mean"] < controls["raw pixels, same classifier"]["mean"]
    )


@pytest.mark.timeout(900)
def test_the_grid_is_searched_once_and_its_best_choice_is_used(data: Path, tmp_path: Path) -> None:
    result = run_experiment(data, tmp_path, "--grid", "--encoder", "one-client")
    rows = result["grid"]["rows"]
    assert len(rows) == 27
    assert rows == sorted(rows, key=lambda row: -row["accuracy"])
    best = {name: rows[0][name] for name in ("hidden", "learning_rate", "dropout")}
    assert result["training"]["min_steps"] == 60
    assert best.items() <= result["training"].items()
    assert "## Grid search" in (tmp_path / f"{result['name']}.md").read_text()


def test_what_was_kept_of_another_plan_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "seed-0").mkdir()
    (tmp_path / "seed-0" / LEARNED).write_text("{}")
    Plan(str(data), latent=9).write(tmp_path / "seed-0")
    with pytest.raises(SettingsError, match="is of 003-made-9-float32, not of 003-made-8-float32"):
        check_kept(Plan(str(data), seeds=1, latent=8), tmp_path)
    with pytest.raises(SettingsError, match="seed-1 is not there"):
        check_kept(Plan(str(data), seeds=2, latent=9), tmp_path)

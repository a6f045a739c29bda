"""``ioa encoder``: from images to a checked encoder, by the command a person types."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from client_autoencoder.encoders.runtime import Encoder
from client_autoencoder.errors import ClientError
from ioa.cli.client.encoder import app
from ioa.errors import IoaError
from tests.support.images import draw_images, write_class_folders

QUICK = ("--epochs", "1", "--latent", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_class_folders(tmp_path / "images", draw_images(60, side=10))
    return tmp_path / "images"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def last_line(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


def test_a_trained_encoder_can_encode(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder"
    report = last_line(invoke("train", "--data", folder, "--out", out, *QUICK, "--json"))
    encoder = Encoder.load(out)
    assert report["encoder_id"] == encoder.encoder_id
    assert (report["training_images"], report["held_out_images"], report["skipped"]) == (54, 6, 0)
    assert {"mse", "psnr_db", "ssim", "skill"} <= set(report)
    assert encoder.encode(draw_images(5, side=10).images).shape == (5, 3)


def test_images_are_private_unless_somebody_says_public(folder: Path, tmp_path: Path) -> None:
    origins = {}
    for name, flags in (("a", ()), ("b", ("--public",))):
        invoke("train", "--data", folder, "--out", tmp_path / name, *QUICK, *flags)
        origins[name] = Encoder.load(tmp_path / name).manifest.training_data.origin
    assert origins == {"a": "private", "b": "public"}


def test_weights_take_one_byte_unless_somebody_wants_four(folder: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, flags in (("a", ()), ("b", ("--weights", "float32"))):
        invoke("train", "--data", folder, "--out", tmp_path / name, *QUICK, *flags)
        assert Encoder.load(tmp_path / name).encode(draw_images(2, side=10).images).shape == (2, 3)
        sizes[name] = (tmp_path / name / "network.onnx").stat().st_size
    assert 3.5 < sizes["b"] / sizes["a"] < 4


def test_the_same_seed_is_the_same_encoder(folder: Path, tmp_path: Path) -> None:
    first, again, other = (
        last_line(
            invoke(
                *("train", "--data", folder, "--out", tmp_path / name, *QUICK),
                *("--seed", seed, "--json"),
            )
        )["encoder_id"]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other


def test_size_limit_and_name(folder: Path, tmp_path: Path) -> None:
    options = ("--size", 6, "--limit", 30, "--name", "made", "--json")
    report = last_line(
        invoke("train", "--data", folder, "--out", tmp_path / "out", *QUICK, *options)
    )
    manifest = Encoder.load(tmp_path / "out").manifest
    assert (manifest.images.height, manifest.images.width) == (6, 6)
    assert (manifest.training_data.name, manifest.training_data.images) == ("made", 30)
    assert report["training_images"] + report["held_out_images"] == 30


def test_too_many_broken_images_exit_with_3_and_list_them(folder: Path, tmp_path: Path) -> None:
    broken = folder / "bar" / "0000.png"
    broken.write_bytes(b"")
    (folder / "ring" / "0001.png").write_bytes(b"")
    result = invoke("train", "--data", folder, "--out", tmp_path / "out", *QUICK)
    assert result.exit_code == 3
    assert f"skipped: {broken}: is neither PNG nor JPEG inside" in result.stderr
    assert "2 of 60 images were skipped, more than the 2.0% that --max-skip" in result.stderr
    assert not (tmp_path / "out").exists()
    permitted = invoke(
        "train", "--data", folder, "--out", tmp_path / "out", *QUICK, "--max-skip", 0.05
    )
    assert permitted.exit_code == 0
    assert "2 skipped" in permitted.stdout


def test_a_used_directory_is_an_error_before_the_training(folder: Path) -> None:
    result = invoke("train", "--data", folder, "--out", folder, "--epochs", 10_000)
    assert isinstance(result.exception, ClientError)
    assert "is not empty" in str(result.exception)


def test_show_prints_what_the_encoder_is(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder"
    encoder_id = last_line(invoke("train", "--data", folder, "--out", out, *QUICK, "--json"))[
        "encoder_id"
    ]
    shown = last_line(invoke("show", out, "--json"))
    assert (shown["encoder_id"], shown["output"]["shape"]) == (encoder_id, [3])
    text = invoke("show", out).stdout
    for part in (encoder_id, "10x10 pixels", "3 numbers", "60 private images of images"):
        assert part in text


@pytest.mark.parametrize("command", ["train", "show"])
def test_help_holds_an_example(command: str) -> None:
    assert f"Example: ioa encoder {command}" in " ".join(invoke(command, "--help").stdout.split())


def test_without_the_extra_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ioa.cli.client.setup.find_spec", lambda _: None)
    result = invoke("train", "--data", folder, "--out", "out")
    assert isinstance(result.exception, IoaError)
    assert "pip install '.[train]'" in str(result.exception)


def test_asking_for_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, ioa.cli.client.encoder as e\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'onnxruntime') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"

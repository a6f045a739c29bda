"""Trainings whose outcome must stay what it was in version 0.1.0: how each is run."""

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from client_autoencoder.encoders.families.autoencoder import AutoencoderConfig
from client_autoencoder.encoders.files import write_encoder
from client_autoencoder.encoders.fitting import TrainingOptions
from client_autoencoder.encoders.training import train
from client_autoencoder.images.sets import digest
from schemas.models.manifest_fields import TrainingData
from server_classifier.heads.training import fit
from stream.artefacts.encoder_files import read_encoder
from stream.networks.int8_weights import WeightType
from tests.server_classifier.stored import make_clusters
from tests.support.commands import run
from tests.support.images import draw_images

EXPERIMENT = ("--data", "digits", "--latent", "16", "--dtype", "int8", "--quick", "--seeds", "1")
# What a seed of the experiment records besides its tables and its duration.
_RECORDED = (
    *("sent", "acknowledged", "stored", "latent_bytes", "message_bytes", "requests", "replies"),
    "digests",
)


def describe_machine() -> dict[str, str]:
    """Return all that the last bits of a training depend on: where it is equal, they are too."""
    packages = {name: version(name) for name in ("numpy", "onnx", "onnxruntime")}
    return packages | {
        "torch": str(torch.__version__),  # of the build, too
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": _describe_processor(),
    }


def train_golden_encoder(weights: WeightType) -> dict[str, Any]:
    """Train an encoder on made images; return its file's sum and its scores on images held out.

    Not its id: the manifest has another form since.
    """
    images = draw_images(90, side=8, seed=1).images
    trained = train(
        images,
        AutoencoderConfig(8, 8, 6, hidden=32),
        TrainingOptions(epochs=20, weights=weights),
        torch.Generator().manual_seed(0),
    )
    data = TrainingData("made", digest(images), len(images), "public")
    with TemporaryDirectory() as directory:
        write_encoder(Path(directory) / "encoder", trained, data)
        onnx = read_encoder(Path(directory) / "encoder").onnx.read_bytes()
    scores = {name: trained.fitted.scores[name] for name in ("mse", "skill")}
    return {"onnx": hashlib.sha256(onnx).hexdigest(), "scores": scores}


def train_classifier() -> dict[str, Any]:
    """Train a classifier with the default settings; return its file's sum and its scores."""
    latents, targets = make_clusters(200, classes=6, latent_dim=3)
    unseen, truth = make_clusters(400, classes=6, latent_dim=3, seed=1)
    model, report = fit(latents, targets, seed=0)
    with torch.no_grad():
        answers = model(torch.from_numpy(unseen)).argmax(dim=1).numpy()
    return {
        "sha256": _sum_weights(model),
        "steps": report.steps,
        "scores": {"accuracy": float((answers == truth).mean()), "loss": report.loss},
    }


def run_experiment(out: Path) -> dict[str, Any]:
    """Run the papers' experiment, small, and return its tables and what its seed records."""
    done = run("experiment", "003", *EXPERIMENT, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    (seed,) = result["seeds"]
    return {"tables": result["tables"], "seed": {name: seed[name] for name in _RECORDED}}


def _sum_weights(model: torch.nn.Module) -> str:
    # Not of the file: that has other names of layers since.
    tensors = [values.numpy().tobytes() for values in model.state_dict().values()]
    return hashlib.sha256(b"".join(tensors)).hexdigest()


def _describe_processor() -> str:
    """Return maker and family: matrix products of equal instructions differ between makers."""
    cpus = Path("/proc/cpuinfo")
    if not cpus.exists():
        return platform.processor()
    lines = cpus.read_text().split("\n\n")[0].splitlines()
    pairs = [line.partition(":") for line in lines]
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    return " ".join(facts.get(name, "") for name in ("vendor_id", "cpu family")).strip()

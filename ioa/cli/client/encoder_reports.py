"""What ``ioa encoder`` prints about a training and about an encoder."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.cli.printing import print_json

if TYPE_CHECKING:
    from client_autoencoder.encoders.training import TrainedAutoencoder
    from schemas.models.encoder_manifest import EncoderManifest


def print_trained(
    out: Path, encoder_id: str, trained: "TrainedAutoencoder", skipped: int, as_json: bool
) -> None:
    """Print how well a new encoder does, and on how many images it was trained."""
    scores = trained.scores
    if as_json:
        counts = {
            "training_images": trained.training_images,
            "held_out_images": trained.held_out_images,
            "skipped": skipped,
            "epochs": trained.epochs,
            "attempts": trained.attempts,
            "seconds": round(trained.seconds, 2),
        }
        print_json({"encoder_id": encoder_id, **asdict(scores), **counts})
        return
    typer.echo(
        f"{out}: encoder {encoder_id}\n"
        f"trained on {trained.training_images} images in {trained.seconds:.1f} s "
        f"({trained.epochs} epochs); {skipped} skipped\n"
        f"{trained.held_out_images} held-out images: mse {scores.mse:.4f}, "
        f"psnr {scores.psnr_db:.1f} dB, ssim {scores.ssim:.2f}, skill {scores.skill:.0%} "
        "(0 % = a constant picture)"
    )
    if trained.attempts > 1:
        typer.echo(
            f"the best of {trained.attempts} attempts: a training that ends at little skill has "
            "often got stuck. If this one is not good enough, try another --seed or more --latent"
        )


def print_manifest(manifest: "EncoderManifest") -> None:
    """Print what an encoder is, one fact a line."""
    for name, value in _describe(manifest):
        typer.echo(f"{name:<20} {value}")


def _describe(manifest: "EncoderManifest") -> Iterator[tuple[str, str]]:
    layers, data = manifest.architecture, manifest.training_data
    shape = f"{layers.maps} maps of {layers.kernel}x{layers.kernel}"
    yield "encoder", manifest.encoder_id
    yield "images", f"{manifest.height}x{manifest.width} pixels, grey"
    yield "latent", f"{manifest.latent_dim} numbers"
    yield "layers", f"{layers.name}: {shape}, pooling {layers.pool}, hidden {layers.hidden}"
    yield "int8 range", f"{manifest.quantiser.low:.3f} to {manifest.quantiser.high:.3f}"
    yield "trained on", f"{data.images} {data.origin} images of {data.name}"
    yield "their sha256", data.sha256
    for file, checked in manifest.files.items():
        yield file, f"{checked} (checked)"

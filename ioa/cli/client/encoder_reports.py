"""What ``ioa encoder`` prints about a training and about an encoder."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ioa.cli.printing import print_json

_SHARES = ("accuracy", "skill")

if TYPE_CHECKING:
    from client_autoencoder.encoders.training import TrainedEncoder
    from schemas.models.network_manifest import NetworkManifest


def print_trained(
    out: Path, encoder_id: str, trained: "TrainedEncoder", skipped: int, as_json: bool
) -> None:
    """Print how well a new encoder does, and on how many images it was trained."""
    scores = trained.fitted.scores
    if as_json:
        counts = {
            "training_images": trained.training_images,
            "held_out_images": trained.held_out_images,
            "skipped": skipped,
            "epochs": trained.epochs,
            "attempts": trained.attempts,
            "seconds": round(trained.seconds, 2),
        }
        print_json({"encoder_id": encoder_id, **scores, **counts})
        return
    typer.echo(
        f"{out}: encoder {encoder_id}\n"
        f"trained on {trained.training_images} images in {trained.seconds:.1f} s "
        f"({trained.epochs} epochs); {skipped} skipped\n"
        f"{trained.held_out_images} held-out images: {_describe_scores(scores)}"
    )
    if trained.attempts > 1:
        typer.echo(
            f"the best of {trained.attempts} attempts: a training that ends at little skill has "
            "often got stuck. If this one is not good enough, try another --seed or more --latent"
        )


def _describe_scores(scores: Mapping[str, float]) -> str:
    """Return the scores in words. The skill is 0 for a constant picture, 1 for a copy."""
    written = (
        f"{name} {value:.0%}" if name in _SHARES else f"{name} {value:.4g}"
        for name, value in scores.items()
    )
    return ", ".join(written)


def print_manifest(manifest: "NetworkManifest") -> None:
    """Print what an encoder is, one fact a line."""
    for name, value in _describe(manifest):
        typer.echo(f"{name:<20} {value}")


def _describe(manifest: "NetworkManifest") -> Iterator[tuple[str, str]]:
    images, output, data = manifest.images, manifest.output, manifest.training_data
    sizes = ", ".join(f"{name} {size}" for name, size in manifest.family.parameters.items())
    yield "encoder", manifest.network_id
    colour = "grey" if images.channels == 1 else "colour"
    yield "images", f"{images.height}x{images.width} pixels, {colour}"
    yield "latent", f"{'x'.join(map(str, output.shape))} numbers"
    yield "layers", f"{manifest.family.name}: {sizes}"
    yield "trained for", manifest.objective
    yield "range of codes", f"{output.low:.3f} to {output.high:.3f}"
    yield "may travel as", ", ".join(output.packings)
    yield "trained on", f"{data.images} {data.origin} images of {data.name}"
    yield "their sha256", data.sha256
    for file, checked in manifest.files.items():
        yield file, f"{checked} (checked)"

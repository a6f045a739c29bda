"""``ioa encoder``: train the encoder that all clients share, look at it, and register it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioa.cli import registry
from ioa.cli.client.encoder_reports import print_manifest, print_trained
from ioa.cli.client.images import TOO_MANY_SKIPPED, choose_images, print_skipped
from ioa.cli.client.options import Split
from ioa.cli.options import Json
from ioa.cli.panels import ENCODER, IMAGES, OUTPUT
from ioa.cli.printing import print_json
from ioa.errors import IoaError

if TYPE_CHECKING:
    from client_autoencoder.encoders.training import OnEpoch, TrainedAutoencoder
    from client_autoencoder.images.batches import ImageBatch, ImageSource, Skipped
    from stream.networks.int8_weights import WeightType

app = typer.Typer(
    help="Train the encoder that all clients share, look at it, and register it.",
    no_args_is_help=True,
)


@app.command()
def train(
    data: Annotated[
        str,
        typer.Option(
            help="digits, an NPZ or IDX file, or a folder of PNG and JPEG files.",
            rich_help_panel=IMAGES,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="New directory for the encoder.", file_okay=False, rich_help_panel=OUTPUT
        ),
    ],
    latent: Annotated[
        int, typer.Option(help="Numbers per image.", min=1, max=65536, rich_help_panel=ENCODER)
    ] = 16,
    size: Annotated[
        int | None,
        typer.Option(
            help="Resize all images to SIZE x SIZE pixels.", min=2, max=1024, rich_help_panel=IMAGES
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the images. Default: what 1,500 steps take.",
            min=1,
            rich_help_panel=ENCODER,
        ),
    ] = None,
    weights: Annotated[
        Literal["int8", "float32"],
        typer.Option(
            help="Bytes of a weight, one or four, in what every client downloads.",
            rich_help_panel=ENCODER,
        ),
    ] = "int8",
    seed: Annotated[
        int, typer.Option(help="Of weights, held-out images and order.", rich_help_panel=ENCODER)
    ] = 0,
    public: Annotated[
        bool,
        typer.Option(
            "--public/--private",
            help="Whether anybody may see the images. An encoder of private ones tells about them.",
            rich_help_panel=IMAGES,
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of the images, in the manifest. Default: that of the file or folder.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    split: Split = None,
    limit: Annotated[
        int | None, typer.Option(help="Use at most so many images.", min=3, rich_help_panel=IMAGES)
    ] = None,
    max_skip: Annotated[
        float,
        typer.Option(
            help="Exit code 3 and no encoder when more than this share cannot be read.",
            min=0,
            max=1,
            rich_help_panel=IMAGES,
        ),
    ] = 0.02,
    as_json: Json = False,
) -> None:
    """Train an autoencoder and write the encoder that ``ioa encoder add`` registers.

    Example: ioa encoder train --data images/ --size 28 --latent 64 --public --out encoder/
    """
    _require_training()
    from client_autoencoder.encoders.files import check_new_directory
    from client_autoencoder.images.sources import open_source

    check_new_directory(out)
    source = open_source(data, split=split)
    skipped: list[Skipped] = []
    images = _read(source, skipped, size, limit, seed)
    print_skipped(skipped)
    _check_skipped(len(skipped), len(images), max_skip)
    with _show_epochs(quiet=as_json) as on_epoch:
        trained = _train(images, latent, epochs, weights, seed, on_epoch)
    encoder_id = _write(out, trained, images, name or source.name, public)
    print_trained(out, encoder_id, trained, len(skipped), as_json)


app.command("add")(registry.add_encoder)
app.command("list")(registry.list_encoders)


@app.command()
def show(
    directory: Annotated[Path, typer.Argument(help="Written by `ioa encoder train`.")],
    as_json: Json = False,
) -> None:
    """Check the files of an encoder and print what it is. Example: ioa encoder show encoder/"""
    from stream.artefacts.encoder_files import read_encoder

    manifest = read_encoder(directory).manifest
    if as_json:
        print_json({"encoder_id": manifest.network_id, **json.loads(manifest.to_json())})
    else:
        print_manifest(manifest)


def _require_training() -> None:
    missing = [name for name in ("torch", "onnx", "safetensors") if find_spec(name) is None]
    if missing:
        raise IoaError(
            f"training needs {', '.join(missing)}: pip install '.[train]' in the project's folder"
        )


def _read(
    source: "ImageSource", skipped: list["Skipped"], size: int | None, limit: int | None, seed: int
) -> "ImageBatch":
    from client_autoencoder.images.batches import read_all

    order = choose_images(source, limit, seed)
    return read_all(source, skipped, size=None if size is None else (size, size), order=order)


def _check_skipped(skipped: int, read: int, max_skip: float) -> None:
    from client_autoencoder.images.batches import too_many_skipped

    total = read + skipped
    if too_many_skipped(skipped, total, max_skip):
        typer.echo(
            f"ioa: {skipped} of {total} images were skipped, more than the {max_skip:.1%} "
            "that --max-skip permits; no encoder was trained",
            err=True,
        )
        raise typer.Exit(TOO_MANY_SKIPPED)


def _train(
    images: "ImageBatch",
    latent: int,
    epochs: int | None,
    weights: "WeightType",
    seed: int,
    on_epoch: "OnEpoch",
) -> "TrainedAutoencoder":
    import torch

    from client_autoencoder.encoders.autoencoder import AutoencoderConfig
    from client_autoencoder.encoders.training import TrainingOptions, train

    height, width = images.images.shape[2:]
    config = AutoencoderConfig(height, width, latent)
    generator = torch.Generator().manual_seed(seed)
    options = TrainingOptions(epochs=epochs, weights=weights)
    return train(images.images, config, options, generator, on_epoch)


def _write(
    out: Path, trained: "TrainedAutoencoder", images: "ImageBatch", name: str, public: bool
) -> str:
    from client_autoencoder.encoders.files import write_encoder
    from client_autoencoder.images.sets import digest
    from schemas.models.manifest_fields import Origin, TrainingData

    origin: Origin = "public" if public else "private"
    data = TrainingData(name, digest(images.images), len(images), origin)
    return write_encoder(out, trained, data)


@contextmanager
def _show_epochs(quiet: bool) -> Iterator["OnEpoch"]:
    from ioa.run.progress import show_progress

    with show_progress("training", quiet=quiet) as show:

        def show_epoch(done: int, total: int, loss: float) -> None:
            show(completed=done, total=total, description=f"mse {loss:.4f}")

        yield show_epoch

"""``ioa encoder``: train the encoder that all clients share, look at it, and register it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioa.cli import registry
from ioa.cli.client.encoder_audit import audit
from ioa.cli.client.encoder_reports import print_manifest, print_trained
from ioa.cli.client.images import TOO_MANY_SKIPPED, choose_images, print_skipped
from ioa.cli.client.options import Split
from ioa.cli.client.setup import require_training
from ioa.cli.options import Json
from ioa.cli.panels import ENCODER, IMAGES, OUTPUT
from ioa.cli.printing import print_json
from ioa.errors import UsageError

if TYPE_CHECKING:
    from client_autoencoder.encoders.edge import EdgeConfig
    from client_autoencoder.encoders.fitting import OnEpoch
    from client_autoencoder.encoders.training import TrainedEncoder
    from client_autoencoder.images.batches import ImageBatch, Skipped
    from schemas.models.network_manifest import ImageInput

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
    objective: Annotated[
        str,
        typer.Option(
            help="What to train for: reconstruction restores the image, exit names its label at "
            "once; a wrong name lists all.",
            rich_help_panel=ENCODER,
        ),
    ] = "reconstruction",
    family: Annotated[
        str | None,
        typer.Option(
            help="Of networks: conv-autoencoder makes latents, conv makes feature maps, or latents "
            "with --latent. Default: what suits the objective.",
            rich_help_panel=ENCODER,
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(
            help="Numbers per image. Default: 16, or feature maps.",
            min=1,
            max=65536,
            rich_help_panel=ENCODER,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Resize all images to SIZE x SIZE pixels.", min=2, max=1024, rich_help_panel=IMAGES
        ),
    ] = None,
    resize: Annotated[
        Literal["bilinear", "area"], typer.Option(help="How to.", rich_help_panel=IMAGES)
    ] = "bilinear",
    aspect: Annotated[
        Literal["stretch", "pad", "crop"],
        typer.Option(
            help="What becomes of images that are not square: stretched, padded with black, or "
            "cropped in the middle.",
            rich_help_panel=IMAGES,
        ),
    ] = "stretch",
    colour: Annotated[
        bool, typer.Option("--colour/--grey", help="Of the images.", rich_help_panel=IMAGES)
    ] = False,
    label_column: Annotated[
        str | None,
        typer.Option(
            help="Column of an NPZ file that holds the labels, such as gender, or an attribute, "
            "such as Smiling. Default: labels.",
            rich_help_panel=IMAGES,
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
    require_training()
    import torch

    from client_autoencoder.encoders.files import check_new_directory
    from client_autoencoder.encoders.fitting import TrainingOptions
    from client_autoencoder.encoders.objectives.registry import find_objective
    from client_autoencoder.encoders.training import train as train_encoder
    from client_autoencoder.images.batches import read_all
    from client_autoencoder.images.sources import open_source

    check_new_directory(out)
    source = open_source(data, split=split, label_column=label_column)
    skipped: list[Skipped] = []
    wanted = _choose_input(size, resize, aspect, colour=colour)
    images = read_all(source, skipped, wanted=wanted, order=choose_images(source, limit, seed))
    print_skipped(skipped)
    _check_skipped(len(skipped), len(images), max_skip)
    with _show_epochs(find_objective(objective).loss, quiet=as_json) as on_epoch:
        config = _choose_config(images, objective, family, latent)
        options = TrainingOptions(objective=objective, epochs=epochs, weights=weights)
        generator = torch.Generator().manual_seed(seed)
        trained = train_encoder(
            images.images, config, options, generator, on_epoch, labels=images.labels
        )
    encoder_id = _write(out, trained, images, name or source.name, public, wanted)
    print_trained(out, encoder_id, trained, len(skipped), as_json)


app.command("add")(registry.add_encoder)
app.command("list")(registry.list_encoders)
app.command()(audit)


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


def _choose_input(
    size: int | None,
    resize: Literal["bilinear", "area"],
    aspect: Literal["stretch", "pad", "crop"],
    *,
    colour: bool,
) -> "ImageInput | None":
    """Return the images to train on; None for grey ones, all of the size of the first."""
    from schemas.models.network_manifest import ImageInput

    if size is not None:
        return ImageInput(3 if colour else 1, size, size, resize, aspect)
    if colour or (resize, aspect) != ("bilinear", "stretch"):
        raise UsageError("--colour, --resize and --aspect need a size to fit images to: --size")
    return None


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


def _choose_config(
    images: "ImageBatch", objective: str, family: str | None, latent: int | None
) -> "EdgeConfig":
    from client_autoencoder.encoders.families.registry import find_family
    from client_autoencoder.encoders.objectives.registry import find_objective

    channels, height, width = images.images.shape[1:]
    trained_for = find_objective(objective)
    chosen = find_family(family or trained_for.family)
    return chosen.choose((channels, height, width), latent or trained_for.numbers)


def _write(
    out: Path,
    trained: "TrainedEncoder",
    images: "ImageBatch",
    name: str,
    public: bool,
    wanted: "ImageInput | None",
) -> str:
    from client_autoencoder.encoders.files import write_encoder
    from client_autoencoder.images.sets import digest
    from schemas.models.manifest_fields import Origin, TrainingData

    origin: Origin = "public" if public else "private"
    data = TrainingData(name, digest(images.images), len(images), origin)
    return write_encoder(out, trained, data, wanted)


@contextmanager
def _show_epochs(loss_name: str, quiet: bool) -> Iterator["OnEpoch"]:
    from ioa.run.progress import show_progress

    with show_progress("training", quiet=quiet) as show:

        def show_epoch(done: int, total: int, loss: float) -> None:
            show(completed=done, total=total, description=f"{loss_name} {loss:.4f}")

        yield show_epoch

"""``ioa encoder audit``: attack what an encoder releases, to see what it gives away."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ioa.cli.client.images import choose_images, print_skipped
from ioa.cli.client.options import Clip, Delta, Epsilon, MechanismName, Split
from ioa.cli.client.setup import make_mechanism, require_training
from ioa.cli.options import Json
from ioa.cli.panels import IMAGES, LATENTS
from ioa.cli.printing import print_json

if TYPE_CHECKING:
    from client_autoencoder.audit.report import Row
    from client_autoencoder.encoders.runtime import Encoder
    from client_autoencoder.images.batches import ImageBatch, Skipped


def audit(
    directory: Annotated[Path, typer.Argument(help="Written by `ioa encoder train`.")],
    data: Annotated[
        str,
        typer.Option(
            help="Images that the encoder was not trained on: digits, an NPZ or IDX file, or a "
            "folder. The attacker learns from one half of them.",
            rich_help_panel=IMAGES,
        ),
    ],
    attack: Annotated[
        Literal["reconstruction", "label", "reidentification"],
        typer.Option(help="Restore the image, read its label, or find it among all others."),
    ] = "reconstruction",
    pack: Annotated[
        Literal["float32", "int8", "int4", "jpeg"],
        typer.Option(help="How numbers travel without noise.", rich_help_panel=LATENTS),
    ] = "int8",
    mechanism: MechanismName = "none",
    epsilon: Epsilon = None,
    delta: Delta = None,
    clip: Clip = None,
    split: Split = None,
    limit: Annotated[
        int | None, typer.Option(help="Use at most so many images.", min=4, rich_help_panel=IMAGES)
    ] = None,
    seeds: Annotated[int, typer.Option(help="How many attackers are trained.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Attack what an encoder releases of images, and compare with what is known without it.

    Example: ioa encoder audit encoder/ --data digits --attack label
    """
    require_training()
    from client_autoencoder.audit.encoder_audit import audit_encoder
    from client_autoencoder.encoders.runtime import Encoder

    chosen = make_mechanism(mechanism, epsilon, delta, clip)
    encoder = Encoder.load(directory)
    images = _read(encoder, data, split, limit)
    rows = audit_encoder(encoder, images, attack, chosen, packing=pack, seeds=seeds)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        _print_rows(rows)


def _read(encoder: "Encoder", data: str, split: str | None, limit: int | None) -> "ImageBatch":
    from client_autoencoder.images.batches import read_all
    from client_autoencoder.images.sources import open_source

    source, wanted = open_source(data, split=split), encoder.manifest.images
    skipped: list[Skipped] = []
    order = choose_images(source, limit, seed=0)
    images = read_all(source, skipped, wanted=wanted, order=order)
    print_skipped(skipped)
    return images


def _print_rows(rows: "list[Row]") -> None:
    for row in rows:
        figures = ", ".join(
            f"{name} {value:.3g}" + (f" ± {row.spread[name]:.2g}" if row.seeds > 1 else "")
            for name, value in row.reached.items()
        )
        floor = f"{row.headline} {row.floor[row.headline]:.3g}"
        typer.echo(f"{row.release}: {figures}; without any release {floor}\n  {row.verdict}")

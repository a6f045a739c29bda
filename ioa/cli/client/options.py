"""Options of ``ioa client``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ioa.cli.panels import IMAGES, LATENTS, WAITING

Data = Annotated[
    str,
    typer.Option(
        help="digits, an NPZ or IDX file, a folder per class, or one PNG or JPEG file.",
        rich_help_panel=IMAGES,
    ),
]
ClientId = Annotated[str | None, typer.Option(help="Who sends \\[env: IOA_CLIENT__CLIENT_ID]")]
EncoderDirectory = Annotated[
    Path | None,
    typer.Option(
        "--encoder",
        help="Written by `ioa encoder train` \\[env: IOA_CLIENT__ENCODER]",
        rich_help_panel=LATENTS,
    ),
]
OutboxDirectory = Annotated[
    Path | None,
    typer.Option(
        "--outbox",
        help="Directory that keeps messages until the server has answered them, in a file "
        "CLIENT_ID.db. Default ioa-outbox \\[env: IOA_CLIENT__OUTBOX]",
        file_okay=False,
        rich_help_panel=WAITING,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Part of the source: train for train_images of an NPZ file, or a folder.",
        rich_help_panel=IMAGES,
    ),
]
Label = Annotated[
    str | None, typer.Option(help="Of images that are in no class folder.", rich_help_panel=IMAGES)
]
Limit = Annotated[
    int | None, typer.Option(help="Send at most so many images.", min=1, rich_help_panel=IMAGES)
]
Form = Annotated[
    Literal["avro", "json"] | None,
    typer.Option(
        "--format", help="Default avro \\[env: IOA_CLIENT__FORM]", rich_help_panel=LATENTS
    ),
]
Dtype = Annotated[
    Literal["float32", "int8", "int4", "jpeg"] | None,
    typer.Option(
        "--pack",
        "--dtype",
        help="How numbers travel: in four bytes, one, half a byte, or as a picture of the maps. "
        "The encoder allows some of these. Default int8, with noise float32 "
        "\\[env: IOA_CLIENT__DTYPE]",
        rich_help_panel=LATENTS,
    ),
]
Augment = Annotated[
    int,
    typer.Option(
        metavar="K",
        help="Send K copies of each image with it, each turned, moved, scaled and bent a little.",
        min=0,
        max=100,
        rich_help_panel=IMAGES,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Of the augmented copies; without it from the system's generator.",
        min=0,
        rich_help_panel=IMAGES,
    ),
]
MaxSkip = Annotated[
    float | None,
    typer.Option(
        help="Exit code 3 when more than this share of the images cannot be read. Default 0.02 "
        "\\[env: IOA_CLIENT__MAX_SKIP]",
        rich_help_panel=IMAGES,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds without an answer after which to give up. Default 60 "
        "\\[env: IOA_CLIENT__TIMEOUT_SECONDS]",
        rich_help_panel=WAITING,
    ),
]
InFlight = Annotated[
    int, typer.Option(help="Questions that may be open at a time.", min=1, rich_help_panel=WAITING)
]
Answers = Annotated[
    bool,
    typer.Option(
        "--answers/--no-answers",
        help="Whether to wait for the server's answers. Without them a message is done when a "
        "broker has taken it: no right to read is needed, and refusals are not seen.",
        rich_help_panel=WAITING,
    ),
]
Exit = Annotated[
    str | None,
    typer.Option(
        "--exit",
        metavar="P|auto",
        help="Answer at home where the encoder's local exit is at least this sure, as 0.95; auto: "
        "as sure as held-out images asked for when it was trained.",
        rich_help_panel=LATENTS,
    ),
]
MechanismName = Annotated[
    Literal["none", "gaussian"],
    typer.Option(
        "--mechanism",
        "--privatizer",
        help="gaussian is research, no guarantee yet.",
        rich_help_panel=LATENTS,
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option(help="Of the gaussian mechanism, per image.", rich_help_panel=LATENTS),
]
Delta = Annotated[
    float | None, typer.Option(help="Of the gaussian mechanism.", rich_help_panel=LATENTS)
]
Clip = Annotated[
    float | None,
    typer.Option(help="Largest length (L2 norm) of a latent.", rich_help_panel=LATENTS),
]

"""Options of ``ioa client``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    str,
    typer.Option(help="digits, an NPZ or IDX file, a folder per class, or one PNG or JPEG file."),
]
ClientId = Annotated[str | None, typer.Option(help="Who sends \\[env: IOA_CLIENT__CLIENT_ID]")]
EncoderDirectory = Annotated[
    Path | None,
    typer.Option("--encoder", help="Written by `ioa encoder train` \\[env: IOA_CLIENT__ENCODER]"),
]
OutboxDirectory = Annotated[
    Path | None,
    typer.Option(
        "--outbox",
        help="Directory that keeps messages until the server has answered them, in a file "
        "CLIENT_ID.db. Default ioa-outbox \\[env: IOA_CLIENT__OUTBOX]",
        file_okay=False,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Part of the source: train for train_images of an NPZ file, or a folder."),
]
Label = Annotated[str | None, typer.Option(help="Of images that are in no class folder.")]
Limit = Annotated[int | None, typer.Option(help="Send at most so many images.", min=1)]
Form = Annotated[
    Literal["avro", "json"] | None,
    typer.Option("--format", help="Default avro \\[env: IOA_CLIENT__FORM]"),
]
Dtype = Annotated[
    Literal["int8", "float32"] | None,
    typer.Option(
        help="What a number of a latent travels as, one byte or four; with noise always four. "
        "Default int8 \\[env: IOA_CLIENT__DTYPE]"
    ),
]
Augment = Annotated[
    int,
    typer.Option(
        metavar="K",
        help="Send K copies of each image with it, each turned, moved, scaled and bent a little.",
        min=0,
        max=100,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Of the augmented copies; without it from the system's generator.", min=0),
]
MaxSkip = Annotated[
    float | None,
    typer.Option(
        help="Exit code 3 when more than this share of the images cannot be read. Default 0.02 "
        "\\[env: IOA_CLIENT__MAX_SKIP]"
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds without an answer after which to give up. Default 60 "
        "\\[env: IOA_CLIENT__TIMEOUT_SECONDS]"
    ),
]
InFlight = Annotated[int, typer.Option(help="Questions that may be open at a time.", min=1)]
PrivatizerName = Annotated[
    Literal["none", "gaussian"],
    typer.Option("--privatizer", help="gaussian is research, no guarantee yet."),
]
Epsilon = Annotated[float | None, typer.Option(help="Of the gaussian privatizer, per image.")]
Delta = Annotated[float | None, typer.Option(help="Of the gaussian privatizer.")]
Clip = Annotated[float | None, typer.Option(help="Largest length (L2 norm) of a latent.")]

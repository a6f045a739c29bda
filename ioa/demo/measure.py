"""Controls and attack of the demo, in a process of its own that runs beside it.

    python -m ioa.demo.measure DIRECTORY SEED --json

It reads the images that the demo wrote into the directory, does what needs no encoder, waits for
the encoder, and prints one JSON object. Its low priority leaves the processors to the clients and
the server, whose answers are being timed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from client_autoencoder.audit.attack import Known
from client_autoencoder.audit.reconstruction_attack import fit_reconstruction
from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from ioa.research.lab.controls import Controls, await_encoder, reconstruct
from ioa.research.lab.parts import Parts, read_parts
from ioa.research.reporting.pictures import PictureRow, as_squares, draw_rows

_SHOWN = 10


def measure(directory: Path, seed: int) -> dict[str, Any]:
    """Return the accuracies of the two controls and what an attacker restored."""
    images = read_parts(directory)
    controls = Controls(images.clients, images.unseen, seed)
    pixels = controls.classify_pixels()
    encoder = await_encoder(directory / "encoder")
    return {
        "pixels": float(pixels.mean()),
        "one_client": float(controls.classify_one_client(encoder).mean()),
        **_measure_exposure(images, encoder, directory, seed),
    }


def _measure_exposure(
    images: Parts, encoder: Encoder, directory: Path, seed: int
) -> dict[str, Any]:
    """Train the attacker on the public images and their latents, attack, and draw ``demo.png``.

    The latents are those that travelled: int8 codes, mapped back.

    Returns the scores, those of the mean image, and one example: original and restored image,
    [H][W] in 0..1.
    """
    public, unseen = (
        Known(released_latents(encoder, part.images), part.images)
        for part in (images.public, images.unseen)
    )
    attacker = fit_reconstruction(public, torch.Generator().manual_seed(seed))
    reached, floor = attacker.score(unseen), attacker.floor(unseen)
    labels = sorted(set(images.unseen.labels), key=str)[:_SHOWN]
    shown = [images.unseen.labels.index(label) for label in labels]
    originals = images.unseen.images[shown, 0]
    restored = attacker.restore(unseen.released[shown])[:, 0]
    reconstructed = reconstruct(directory / "encoder", unseen.released[shown])[:, 0]
    rows = [
        PictureRow("original\nstays in the house", originals),
        PictureRow("latent\ntravels", as_squares(unseen.released[shown]), grey=False),
        PictureRow("reconstruction\nby our own decoder", reconstructed),
        PictureRow(f"restored\nby an attacker\n({reached['psnr_db']:.1f} dB)", restored),
    ]
    (directory / "demo.png").write_bytes(draw_rows(rows, [str(label) for label in labels]))
    example = int(originals.std(axis=(1, 2)).argmax())  # the clearest one on a terminal
    return {
        "attack": reached,
        "floor": floor,
        "original": originals[example].tolist(),
        "restored": restored[example].tolist(),
    }


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))

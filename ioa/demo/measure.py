"""Controls and attack of the demo, in a process of its own that runs beside it.

    python -m ioa.demo.measure DIRECTORY SEED --json

It reads the parts that the demo wrote into the directory, does what needs no encoder, waits for the
encoder, and prints one JSON object. Its low priority leaves the processors to the clients and the
server, whose answers are being timed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from client_autoencoder.audit.released_latents import released_latents
from client_autoencoder.encoders.runtime import Encoder
from ioa.demo.exposure import measure_exposure
from ioa.research.lab.controls import await_encoder, find_hits, flatten
from ioa.research.lab.parts import Parts, read_parts


def measure(directory: Path, seed: int) -> dict[str, Any]:
    """Return the accuracies of the two controls and what an attacker restored."""
    images = read_parts(directory)
    pixels = _measure_pixels(images, seed)
    encoder = await_encoder(directory / "encoder")
    return {
        "pixels": pixels,
        "one_client": _measure_one_client(images, encoder, seed),
        **measure_exposure(images, encoder, directory, seed),
    }


def _measure_pixels(images: Parts, seed: int) -> float:
    """Return the accuracy on the unseen images of a classifier of all clients' raw pixels."""
    pixels = np.concatenate([flatten(client.images) for client in images.clients])
    labels = [label for client in images.clients for label in client.labels]
    asked = flatten(images.unseen.images), images.unseen.labels
    return float(find_hits((pixels, labels), asked, seed).mean())


def _measure_one_client(images: Parts, encoder: Encoder, seed: int) -> float:
    """Return the accuracy on the unseen images of a classifier of one client's latents."""
    first = images.clients[0]
    learned = released_latents(encoder, first.images), first.labels
    asked = released_latents(encoder, images.unseen.images), images.unseen.labels
    return float(find_hits(learned, asked, seed).mean())


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))

"""Controls and attack of the demo, in processes of their own that run beside it.

    python -m ioa.demo.measure pixels|latents DIRECTORY SEED --json

It reads the parts that the demo wrote into the directory and prints one JSON object. Its low
priority leaves the processors to the clients and the server, whose answers are being timed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from client_autoencoder.encoder import Encoder
from ioa.demo.controls import measure_one_client, measure_pixels
from ioa.demo.exposure import measure_exposure
from ioa.demo.parts import read_parts


def measure(what: str, directory: Path, seed: int) -> dict[str, Any]:
    """Return the accuracy on raw pixels, or that of one client and what the attacker restored."""
    images = read_parts(directory)
    if what == "pixels":
        return {"accuracy": measure_pixels(images, seed)}
    encoder = Encoder.load(directory / "encoder")
    one_client = measure_one_client(images, encoder, seed)
    return {"accuracy": one_client} | measure_exposure(images, encoder, directory, seed)


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))

"""Controls and attack of the demo, in a process of its own that runs beside it.

    python -m ioa.demo.measure DIRECTORY SEED --json

It reads the parts that the demo wrote into the directory, does what needs no encoder, waits for the
encoder, and prints one JSON object. Its low priority leaves the processors to the clients and the
server, whose answers are being timed.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from client_autoencoder.encoder import Encoder
from ioa.demo.controls import measure_one_client, measure_pixels
from ioa.demo.exposure import measure_exposure
from ioa.demo.parts import read_parts


def measure(directory: Path, seed: int) -> dict[str, Any]:
    """Return the accuracies of the two controls and what an attacker restored."""
    images = read_parts(directory)
    pixels = measure_pixels(images, seed)
    while not (directory / "encoder").exists():  # it appears whole, or the demo ends
        time.sleep(0.1)
    encoder = Encoder.load(directory / "encoder")
    return {
        "pixels": pixels,
        "one_client": measure_one_client(images, encoder, seed),
        **measure_exposure(images, encoder, directory, seed),
    }


if __name__ == "__main__":
    os.nice(10)
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))

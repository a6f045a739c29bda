"""What maps of 3,136 numbers cost the server: room on the disk, and memory in a training.

A database is filled with maps of random codes (64x7x7) in one packing. Then a process of its own,
as the trainer does, reads the training set and trains the head ``conv`` for one epoch; its peak
is the most that was ever resident (``VmHWM``). "Of codes" compares what the training set added
to the process with the bytes of the codes alone; as float32, int8 maps take four times as much.

Example: python -m benchmarks.map_memory --maps 20000 200000
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.measurement import Aim, Column, Measurement, make_parser, report
from benchmarks.read_latents import make_rows
from schemas.models.network_manifest import NetworkManifest, Output
from schemas.vector import Packing, count_bytes
from server_classifier.heads.latent_classifier import LatentClassifier
from server_classifier.heads.settings import TrainingSettings
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.training_set import read_training_set
from server_classifier.store.registry.entries import add_encoder
from tests.support.manifests import make_manifest

SHAPE = (64, 7, 7)
PACKINGS: tuple[Packing, ...] = ("int8", "int4")
MANY = 200_000
BATCH = 5_000
SHORT = TrainingSettings(epochs=1, min_steps=1, batch_size=256)
OURS = "stored, read and learned from"
COLUMNS = {
    "disk_gb": Column("GB on the disk", "{:.2f}", better="less"),
    "codes_gb": Column("GB of codes", "{:.2f}"),
    "peak_gb": Column("peak GB of the trainer", "{:.2f}", better="less"),
    "of_codes": Column("added, of codes", "{:.2f} x", better="less"),
    "read_seconds": Column("s to read all", "{:.1f}", better="less"),
    "us_per_map": Column("us to learn from a map once", "{:.0f}", better="less"),
}
AIMS = (
    Aim(OURS, "disk_gb", 0.9, {"packing": "int8", "maps": MANY}),
    Aim(OURS, "disk_gb", 0.45, {"packing": "int4", "maps": MANY}),
    Aim(OURS, "peak_gb", 1.8, {"packing": "int8", "maps": MANY}),
)


def main() -> None:
    options = read_options()
    if options.learn:
        print(json.dumps(learn(options.learn, make_edge())))
        return
    measured = [measure(packing, maps) for maps in options.maps for packing in PACKINGS]
    report(options.out, "map_memory", measured, COLUMNS, AIMS)


def read_options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--maps", type=int, nargs="+", default=[20_000, MANY])
    parser.add_argument("--learn", help="only train on the maps in the database at this address")
    options = parser.parse_args()
    if options.quick:
        options.maps = [5_000]
    return options


def make_edge() -> NetworkManifest:
    return replace(make_manifest(), output=Output(SHAPE, 0.0, 4.0, PACKINGS))


def measure(packing: Packing, maps: int) -> Measurement:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ioa.db")
        fill(f"sqlite:///{file}", packing, maps)
        size = sum(part.stat().st_size for part in Path(folder).iterdir())
        command = [sys.executable, "-m", __spec__.name, "--learn", f"sqlite:///{file}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    codes = maps * count_bytes(packing, math.prod(SHAPE)) / 1e9
    added = found.pop("added_gb") / codes
    row = Measurement("map_memory", {"packing": packing, "maps": maps}, OURS)
    row.runs.append({"disk_gb": size / 1e9, "codes_gb": codes, "of_codes": added} | found)
    return row


def fill(address: str, packing: Packing, maps: int) -> None:
    engine = open_database(address)
    ensure_current(engine)
    edge, rng = make_edge(), np.random.default_rng(0)
    length = count_bytes(packing, math.prod(SHAPE))
    with writing(engine) as connection:
        add_encoder(connection, edge, now=datetime.now(UTC))
    for start in range(0, maps, BATCH):
        rows = make_rows(rng, start, min(BATCH, maps - start))
        maps_of = [
            row._replace(encoder_id=edge.network_id, dtype=packing, value=rng.bytes(length))
            for row in rows
        ]
        with writing(engine) as connection:
            insert_latents(connection, maps_of)
    engine.dispose()


def learn(address: str, edge: NetworkManifest) -> dict[str, float]:
    """Read and train as the trainer does; return what it took."""
    before, start = read_peak(), time.perf_counter()
    with reading(open_database(address)) as connection:
        found = read_training_set(
            connection, edge.network_id, max_rows=MANY, rng=np.random.default_rng(0)
        )
    read_seconds, read = time.perf_counter() - start, read_peak()
    start = time.perf_counter()
    report = LatentClassifier(SHORT).fit(found.values, found.targets).report_
    seconds = time.perf_counter() - start
    return {
        "read_seconds": read_seconds,
        "added_gb": read - before,
        "peak_gb": read_peak(),
        "us_per_map": seconds / report.epochs / report.rows * 1e6,
    }


def read_peak() -> float:
    """Return the most memory that this process ever had, in GB."""
    # ``resource.getrusage`` would begin with that of the process which started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024 / 1e9


if __name__ == "__main__":
    main()

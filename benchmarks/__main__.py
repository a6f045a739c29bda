"""Runs all benchmarks in turn, then writes the table of aims and the figure of growth.

The folder gets the results as JSON lines and Markdown, and ``README.md`` those that have an aim.

Example: python -m benchmarks --quick --out /tmp/results --compare benchmarks/results
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.comparison import compare
from benchmarks.growth import draw_growth
from benchmarks.measurement import make_parser
from benchmarks.results_file import read_results
from benchmarks.summary import summarise

# Benchmarks that most need a quiet machine come first.
_ALL = (
    "round_trip",
    "replies_during_ingest",
    "hostile_client",
    "training",
    "map_training",
    "map_memory",
    "encode_publish",
    "encoder_size",
    "outbox",
    "processes",
    "ingest",
    "ingest_scaling",
    "ingest_growth",
    "refusals",
    "replay",
    "archive",
    "read_latents",
    "federated",
    "membership",
)


def main() -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(out=Path(__file__).parent / "results")
    parser.add_argument("--only", nargs="+", choices=_ALL, default=_ALL, metavar="NAME")
    parser.add_argument("--compare", type=Path, help="older results, a file or a folder")
    options = parser.parse_args()
    old = read_results(options.compare) if options.compare else []
    for number, name in enumerate(options.only, 1):
        print(f"\n## {name} ({number} of {len(options.only)})", flush=True)
        began = time.monotonic()
        more = ["--quick"] if options.quick else []
        command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(options.out), *more]
        if subprocess.run(command).returncode:
            sys.exit(f"{name} failed; the results so far are in {options.out}")
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    new = read_results(options.out)
    table = summarise(new)
    (options.out / "growth.png").write_bytes(draw_growth(new))
    (options.out / "README.md").write_text(f"# Aims\n\n{table}\n\n![growth](growth.png)\n")
    print(f"\n{table}")
    if old:
        print(f"\n{compare(old, new)}")


if __name__ == "__main__":
    main()

"""Virtual environments of the peers, with pinned versions, installed on demand."""

import subprocess
import sys
import venv
from pathlib import Path

_REQUIREMENTS = {
    "fastapi": [
        "fastapi==0.165.0",
        "uvicorn[standard]==0.54.0",
        "fastavro==1.13.1",
        "numpy==2.4.6",
        "onnxruntime==1.31.1",
        "orjson==3.13.0",
    ],
    "faststream": [
        "faststream[confluent]==0.7.8",
        "fastavro==1.13.1",
        "numpy==2.4.6",
        "orjson==3.13.0",
        "psycopg[binary]==3.3.9",
        "sqlalchemy==2.1.9",
    ],
    "flower": ["flwr[simulation]==1.41.0", "numpy==2.4.6", "torch==2.15.0"],
    "quix": [
        "quixstreams[postgresql]==3.28.1",
        "fastavro==1.13.1",
        "numpy==2.4.6",
        "orjson==3.13.0",
    ],
}


def find_python(peer: str, folder: Path) -> str:
    """Return the interpreter of a peer's environment, and install the environment if needed."""
    home = folder / peer
    python = home / "bin" / "python"
    installed = home / "installed.txt"
    pins = "\n".join(_REQUIREMENTS[peer])
    if not installed.exists() or installed.read_text() != pins:
        print(f"installing {peer} into {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *_REQUIREMENTS[peer]]
        subprocess.run(install, check=True)
        installed.write_text(pins)
    return str(python)

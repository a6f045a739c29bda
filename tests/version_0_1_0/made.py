"""The facts about the files of this folder, and how the tests read what commands print."""

import json
from pathlib import Path
from typing import Any

from tests.support.commands import Ran

FOLDER = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((FOLDER / "facts.json").read_text())
CLIENT = "radiology-1"
SITE = "st-mary"
PREFIX = "v010"
LEARNING = f"{PREFIX}.learning"


def read_json(done: Ran) -> Any:
    """Return what a command that succeeded has printed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

"""One sum of what an outbox, or a database, of version 0.1.0 holds."""

import hashlib
import json
from pathlib import Path

from tests.support.commands import run

# A later version may export more of a letter; these make the record that goes to Kafka.
_RECORD = ("message_id", "topic", "key", "headers", "value")


def sum_letters(exported: Path) -> str:
    """Return the sum of the records in a file of ``ioa outbox export``."""
    letters = map(json.loads, exported.read_text().splitlines())
    records = [[letter[name] for name in _RECORD] for letter in letters]
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()


def sum_latents(database: str) -> str:
    """Return the digest of a new dataset of all latents, whose values it covers."""
    done = run("dataset", "create", "everything", "--database", database, "--json")
    assert done.returncode == 0, done.stderr
    digest: str = json.loads(done.stdout.splitlines()[-1])["digest"]
    return digest

"""Commands as a person types them, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

from stream.settings import KafkaSettings


def run_client(
    kafka: KafkaSettings, client_id: str, encoder: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run ``ioa client`` and return its exit code and output, whatever they are."""
    environment = {
        "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "IOA_KAFKA__PREFIX": kafka.prefix,
        "IOA_CLIENT__CLIENT_ID": client_id,
        "IOA_CLIENT__ENCODER": str(encoder),
    }
    return subprocess.run(
        [sys.executable, "-m", "ioa", "client", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
        check=False,
    )

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
    with start_client(kafka, client_id, encoder, *arguments) as process:
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start_client(
    kafka: KafkaSettings, client_id: str, encoder: Path, *arguments: object
) -> subprocess.Popen[str]:
    """Start ``ioa client``; its outbox lies beside the encoder."""
    environment = {
        "IOA_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "IOA_KAFKA__PREFIX": kafka.prefix,
        "IOA_CLIENT__CLIENT_ID": client_id,
        "IOA_CLIENT__ENCODER": str(encoder),
        "IOA_CLIENT__OUTBOX": str(encoder.parent / "outbox"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ioa", "client", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )

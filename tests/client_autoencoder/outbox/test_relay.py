"""What a relay reports where no broker can be reached."""

import time
from pathlib import Path

from client_autoencoder.outbox.entries import Settled
from stream.kafka.settings import KafkaSettings
from tests.support.outgoing_records import make_records
from tests.support.relays import open_relay

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def test_draining_reports_what_expired_while_no_process_ran(tmp_path: Path) -> None:
    with open_relay(NOBODY, "radiology-1", tmp_path) as relay:
        relay.outbox.put(make_records(1, deadline=time.time()), ["a"])
    settled: list[Settled] = []
    with open_relay(NOBODY, "radiology-1", tmp_path) as relay:
        relay.on_settled = settled.extend
        assert relay.drain(timeout=0)
    assert [(record.name, record.outcome.kind) for record in settled] == [("a", "expired")]

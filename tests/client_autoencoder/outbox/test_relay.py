"""What a relay tells of letters, where no broker can be reached."""

import time
from pathlib import Path

from client_autoencoder.outbox.entries import Settled
from stream.kafka.settings import KafkaSettings
from tests.support.outgoing_records import make_records
from tests.support.relays import open_relay

NOBODY = KafkaSettings(bootstrap_servers="127.0.0.1:1")


def test_what_expired_while_no_process_ran_is_told_by_draining(tmp_path: Path) -> None:
    with open_relay(NOBODY, "radiology-1", tmp_path) as relay:
        relay.outbox.put(make_records(1, deadline=time.time()), ["a"])
    told: list[Settled] = []
    with open_relay(NOBODY, "radiology-1", tmp_path) as relay:
        relay.note = told.extend
        assert relay.drain(timeout=0)
    assert [(one.name, one.outcome.kind) for one in told] == [("a", "expired")]

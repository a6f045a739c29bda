"""What goes wrong with one record refuses that record; what is wrong with the database does not."""

import json
import time
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from schemas.messages.latent import LatentMessage
from server_classifier.intake.admission import Admission, Admitted
from server_classifier.intake.screening import find_senders, screen_records
from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.registry.entries import add_encoder
from stream.exchange.codec import Received
from stream.exchange.exchanges import LEARNING
from stream.kafka.record import Record
from tests.server_classifier.intake.test_bad_input import nest
from tests.support.manifests import make_manifest
from tests.support.server import NOW, add_clients

CLIENT = "radiology-1"


def make_record(offset: int, label: bytes = b'"hand"') -> Record:
    value = json.dumps(
        {
            "message": {
                "clientID": CLIENT,
                "label": "?",
                "value": [0.1, 0.2, 0.3, 0.4],
                "mode": "learning",
                "timestamp": "2026-01-01 00:00:00",
                "encoderID": make_manifest().network_id,
            }
        }
    )
    return Record("t", 0, offset, 0, None, value.encode().replace(b'"?"', label), [])


class FaultyAdmission(Admission):
    """Has a fault that one label meets."""

    def admit(self, received: Received[LatentMessage]) -> Admitted:
        if received.message.label == "fault":
            raise ZeroDivisionError("of a patient")
        return super().admit(received)


def test_only_the_record_at_fault_is_refused(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ioa.db'}")
    ensure_current(engine)
    with writing(engine) as connection:
        add_encoder(connection, make_manifest(), now=NOW)
    add_clients(engine, CLIENT)
    admission = FaultyAdmission(engine, None, time.monotonic)
    records = [
        make_record(0),
        make_record(1, nest(1015)),
        make_record(2, b'"fault"'),
        make_record(3),
    ]
    batch = screen_records(records, admission, exchange=LEARNING, cluster_id="c")
    find_senders(batch, admission, exchange=LEARNING, cluster_id="c")
    assert [admitted.received.record.offset for admitted in batch.admitted] == [0, 3]
    reasons = {refused.record.offset: refused.error.reason for refused in batch.refused}
    assert "must be a string" in reasons[1]
    assert reasons[2] == "cannot be read: ZeroDivisionError"
    assert [refused.sender and refused.sender.client_id for refused in batch.refused] == [
        CLIENT
    ] * 2
    engine.dispose()


def test_a_table_that_is_gone_refuses_no_record(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'ioa.db'}")
    ensure_current(engine)
    add_clients(engine, "other")
    admission = Admission(engine, None, count(step=0.1).__next__)
    screen_records([], admission, exchange=LEARNING, cluster_id="c")
    with writing(engine) as connection:
        connection.execute(text("ALTER TABLE client RENAME TO away"))
    with pytest.raises(OperationalError, match="no such table"):
        screen_records([make_record(0)], admission, exchange=LEARNING, cluster_id="c")
    engine.dispose()

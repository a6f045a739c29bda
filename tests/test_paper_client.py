"""Somebody else's client, written from the paper alone, is acknowledged and answered."""

import json
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from server_classifier.store.database import reading
from server_classifier.store.tables import latent
from stream.exchange.message_ids import derive_message_id
from stream.kafka.connection import connect_admin, read_cluster_id
from stream.kafka.settings import KafkaSettings
from tests.support.dead_letters import read_topic
from tests.support.server import add_trained_classifier, run_server

PROGRAM = Path(__file__).parent / "paper_client.py"


def test_a_client_of_twenty_lines_is_acknowledged_and_answered(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with run_server(settings, tmp_path) as server:
        server.register("app2", default_encoder=server.encoder_id)
        add_trained_classifier(server, ("chest", "hand", "head"))
        run = subprocess.run(
            [sys.executable, PROGRAM, kafka, topic_prefix, "[0.1, 1.5, -0.2, 0.3]"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        with reading(server.engine) as connection:
            (row,) = connection.execute(select(latent)).all()

    acknowledgement, reply = (json.loads(line)["message"] for line in run.stdout.splitlines())
    assert set(acknowledgement) == set(reply) == {"clientID", "label", "timestamp", "inReplyTo"}
    assert (acknowledgement["clientID"], acknowledgement["label"]) == ("app2", "hand")
    assert (reply["clientID"], reply["label"]) == ("app2", "hand")

    cluster_id = read_cluster_id(connect_admin(settings))
    (sent,) = read_topic(settings, row.topic)
    derived = derive_message_id(
        cluster_id, row.topic, row.part, row.kafka_offset, sent.value or b""
    )
    assert acknowledgement["inReplyTo"] == row.message_id == derived
    assert (row.client_id, row.site, row.label) == ("app2", "st-mary", "hand")
    assert row.encoder_id == server.encoder_id


def test_the_client_imports_nothing_of_ours_and_is_short() -> None:
    lines = PROGRAM.read_text().splitlines()
    ours = ("schemas", "stream", "client_autoencoder", "server_classifier", "ioa")
    imports = [line.split()[1] for line in lines if line.startswith(("import ", "from "))]
    assert not [name for name in imports if name.split(".")[0] in ours]
    assert len([line for line in lines[2:] if line]) <= 20

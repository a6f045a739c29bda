"""A client that invents labels gets them refused, and keeps no other client waiting."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.messages import headers as names
from server_classifier.store.database import reading
from server_classifier.store.registry.labels import list_labels
from server_classifier.store.replays import compute_latents_digest
from stream.exchange.exchanges import LEARNING
from stream.kafka.settings import KafkaSettings
from tests.server_classifier.intake.test_bad_input import as_json
from tests.support.ingestion import Ingestion
from tests.support.postgres import DATABASES
from tests.support.replays import Replayer
from tests.support.server import RunningServer, run_server
from tests.support.topics import read_new, send_raw

HONEST, HOSTILE = "radiology-1", "inventor"
MAXIMUM = 1000  # the default
NEIGHBOUR_SECONDS = 5


@pytest.fixture(params=DATABASES)
def server(
    kafka: str,
    topic_prefix: str,
    request: pytest.FixtureRequest,
    make_database: Callable[[str, Path], str],
    tmp_path: Path,
) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    url = make_database(request.param, tmp_path)
    with run_server(settings, tmp_path, database_url=url) as running:
        running.register(HONEST)
        running.register(HOSTILE)
        yield running


def test_labels_beyond_the_maximum_become_dead_letters(
    server: RunningServer, other: str, tmp_path: Path
) -> None:
    bootstrap, topics = server.kafka.bootstrap_servers, server.topics
    learning = topics.of(LEARNING).name
    with (
        read_new(bootstrap, topics.replies(HONEST).name) as honest,
        read_new(bootstrap, topics.replies(HOSTILE).name) as hostile,
        read_new(bootstrap, topics.dead_letters.name) as dead_letters,
    ):
        send_raw(bootstrap, learning, [(as_json(server, clientID=HONEST, label="hand"), [])])
        honest(1)
        invented = [f"invented {number}" for number in range(MAXIMUM + 5)]
        bodies = [as_json(server, clientID=HOSTILE, label=label) for label in invented]
        send_raw(bootstrap, learning, [(body, []) for body in bodies])
        began = time.monotonic()
        send_raw(bootstrap, learning, [(as_json(server, clientID=HONEST, label="hand"), [])])
        (answer,) = honest(1)
        waited = time.monotonic() - began
        answers = hostile(len(bodies))
        letters = [dict(letter.headers()) for letter in dead_letters(6)]
    assert dict(answer.headers())[names.KIND] == b"acknowledgement"
    assert waited < NEIGHBOUR_SECONDS
    refusals = [a for a in answers if dict(a.headers())[names.KIND] == b"refusal"]
    assert len(refusals) == len(letters) == 6
    for letter in letters:
        assert b"is a new label, and 1000 of at most 1000 are taken" in letter[names.ERROR_REASON]
        assert letter[names.ERROR_FIELD] == b"label"
    with reading(server.engine) as connection:
        assert set(list_labels(connection)) == {"hand", *invented[: MAXIMUM - 1]}
    assert server.count_stored() == MAXIMUM + 1
    server.ingest.wait_for_metric("ioa_labels", MAXIMUM)
    assert server.ingest.metric("ioa_labels_maximum") == MAXIMUM
    live = Ingestion(server.kafka, server.settings.database_url, server.engine, tmp_path)
    row, report = Replayer(live).run(other)
    assert report.refused["label"].count == 6
    with reading(server.engine) as connection:
        assert row.digest == compute_latents_digest(connection)

"""Messages that were refused, the cause mended, and sent again: stored once, whatever is replayed.

On a real broker and real databases, with the commands that an operator types.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from ioa.cli.main import app
from server_classifier.store.database import reading
from server_classifier.store.tables import latent
from stream.exchange.exchanges import LEARNING
from stream.kafka.settings import KafkaSettings
from tests.server_classifier.intake.test_bad_input import as_json, body
from tests.support.dead_letters import read_topic
from tests.support.server import RunningServer, run_server
from tests.support.topics import read_new, send_raw
from tests.support.waiting import wait_until


@pytest.fixture
def server(
    kafka: str, topic_prefix: str, database_url: str, tmp_path: Path
) -> Iterator[RunningServer]:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with run_server(settings, tmp_path, database_url=database_url) as running:
        yield running


def run(server: RunningServer, *arguments: str) -> str:
    kafka = ("-b", server.kafka.bootstrap_servers, "--prefix", server.kafka.prefix)
    result = CliRunner().invoke(app, [*arguments, *kafka])
    assert result.exit_code == 0, result.output
    return result.output


def read_ids(server: RunningServer) -> list[str]:
    with reading(server.engine) as connection:
        return list(connection.scalars(select(latent.c.message_id).order_by(latent.c.id)))


def test_a_client_registered_too_late_loses_nothing(server: RunningServer) -> None:
    sent = [as_json(server) for _ in range(3)]
    with read_new(
        server.kafka.bootstrap_servers, server.topics.dead_letters.name
    ) as read_dead_letters:
        send_raw(
            server.kafka.bootstrap_servers,
            server.topics.of(LEARNING).name,
            [(value, []) for value in sent],
        )
        assert len(read_dead_letters(3)) == 3
    server.register("radiology-1")
    listed = json.loads(run(server, "dead-letter", "list", "--client-id", "radiology-1", "--json"))
    assert {entry["field"] for entry in listed["letters"]} == {"clientID"}
    options = ("dead-letter", "retry", "--all", "--field", "clientID", "--yes")
    assert "3 dead letters sent again" in run(server, *options)
    wait_until(lambda: server.count_stored() == 3, "not all three are stored")
    assert "0 dead letters sent again" in run(server, *options)
    assert read_ids(server) == [entry["message_id"] for entry in listed["letters"]]
    records = read_topic(server.kafka, server.topics.of(LEARNING).name)
    assert [record.value for record in records] == [*sent, *sent]


def test_a_message_without_an_id_is_stored_once_though_it_is_replayed(
    server: RunningServer,
) -> None:
    """Refused at its first place, it would be accepted there when the topic is read again."""
    paper = body(server, messageID=None, clientID="app2")
    with read_new(
        server.kafka.bootstrap_servers, server.topics.dead_letters.name
    ) as read_dead_letters:
        value = json.dumps(paper).encode()
        send_raw(server.kafka.bootstrap_servers, server.topics.of(LEARNING).name, [(value, [])])
        read_dead_letters(1)
    server.register("app2")
    (letter,) = json.loads(run(server, "dead-letter", "list", "--json"))["letters"]
    run(server, "dead-letter", "retry", letter["position"])
    wait_until(lambda: server.count_stored() == 1, "it is not stored")
    ids = read_ids(server)
    assert ids == [letter["message_id"]]
    database = server.engine.url.set(drivername=server.engine.url.get_backend_name())
    reset = ("database", "position", "reset", "--topic", server.topics.of(LEARNING).name)
    run(server, *reset, "--to", "earliest", "--database", database.render_as_string(False))
    # Any message makes the ingester notice; once it is stored, all before it were read again.
    later = json.dumps(body(server, clientID="app2")).encode()
    send_raw(server.kafka.bootstrap_servers, server.topics.of(LEARNING).name, [(later, [])])
    wait_until(lambda: server.count_stored() > 1, "no second one is stored")
    assert read_ids(server) == [*ids, json.loads(later)["message"]["messageID"]]


def test_an_answer_names_the_first_id(server: RunningServer) -> None:
    with read_new(
        server.kafka.bootstrap_servers, server.topics.dead_letters.name
    ) as read_dead_letters:
        value = json.dumps(body(server, messageID=None, clientID="app2")).encode()
        (offset,) = send_raw(
            server.kafka.bootstrap_servers,
            server.topics.of(LEARNING).name,
            [(value, [])],
            partition=1,
        )
        read_dead_letters(1)
    server.register("app2")
    with read_new(server.kafka.bootstrap_servers, server.topics.replies("app2").name) as answers:
        run(server, "dead-letter", "retry", "0:0")
        (answer,) = answers(1)
    first = json.loads(answer.value() or b"")["message"]["inReplyTo"]
    (letter,) = json.loads(run(server, "dead-letter", "list", "--json"))["letters"]
    assert (letter["partition"], letter["offset"], letter["sent_again"]) == (1, offset, True)
    assert first == letter["message_id"] == read_ids(server)[0]

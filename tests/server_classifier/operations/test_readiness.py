"""Readiness and metrics of real services while a real database or broker goes away."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from schemas.messages.latent import LatentMessage
from schemas.vector import Vector
from schemas.wire import json_form
from stream.broker.embedded import EmbeddedBroker
from stream.exchange.exchanges import LEARNING
from stream.exchange.message_ids import make_message_id
from stream.exchange.outgoing_record import make_record
from stream.kafka.settings import KafkaSettings
from tests.support.load import Load, wait_for_rows
from tests.support.postgres import Postgres
from tests.support.server import LATENT_DIM, NOW, RunningServer, run_server
from tests.support.topics import Headers, send_raw

CLIENT = "radiology-1"


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)


@contextmanager
def serving(kafka: KafkaSettings, folder: Path, database_url: str) -> Iterator[RunningServer]:
    with run_server(kafka, folder, database_url=database_url) as server:
        server.register(CLIENT)
        server.ingest.wait_until_ready()
        server.infer.wait_until_ready()
        yield server


def make_load(server: RunningServer) -> Load:
    topic = server.topics.of(LEARNING).name
    return Load(server.kafka.bootstrap_servers, topic, CLIENT, server.encoder_id, seed=5)


@contextmanager
def locked(file: str) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as locker:
        locker.execute("BEGIN EXCLUSIVE")
        yield


def test_a_locked_database_is_named_until_it_is_free(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    file = tmp_path / "ioa.db"
    with serving(settings, tmp_path, f"sqlite:///{file}?timeout=0.2") as server:
        load = make_load(server)
        with locked(str(file)):
            load.send(3)
            load.flush()
            fault = server.ingest.wait_for_fault("database")
            assert server.ingest.read_faults("/healthz") == {}
            assert server.ingest.metric("ioa_ready") == 0
            again = server.ingest.wait_for_fault("database")
        server.ingest.wait_until_ready()
        assert wait_for_rows(load, server.engine).exact
        assert server.ingest.metric("ioa_dependency_waits_total", dependency="database") == 1
    assert "another process keeps it locked" in fault["reason"]
    assert again["since"] == fault["since"] or again["seconds"] > fault["seconds"]


def test_a_database_that_is_away_is_noticed_without_any_message(
    settings: KafkaSettings, tmp_path: Path, postgres: Postgres
) -> None:
    with serving(settings, tmp_path, postgres.create_database()) as server:
        postgres.stop()
        try:
            fault = server.ingest.wait_for_fault("database")
        finally:
            postgres.start()
        server.ingest.wait_until_ready()
        assert "does not answer" in fault["reason"]
        load = make_load(server)
        load.send(2)
        load.flush()
        assert wait_for_rows(load, server.engine).exact


def test_a_broker_that_is_away_is_named_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "kafka"
    with EmbeddedBroker(folder) as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, prefix="away")
        port = int(broker.bootstrap_servers.rpartition(":")[2])
        with serving(kafka, tmp_path, f"sqlite:///{tmp_path / 'ioa.db'}") as server:
            os.kill(broker.pid, signal.SIGKILL)
            for probe in (server.ingest, server.infer):
                fault = probe.wait_for_fault("kafka")
                assert kafka.bootstrap_servers in fault["reason"]
                assert probe.read_faults("/healthz") == {}
            broker.stop()
            with EmbeddedBroker(folder, port=port):
                server.ingest.wait_until_ready()
                server.infer.wait_until_ready()
                load = make_load(server)
                load.send(2)
                load.flush()
                assert wait_for_rows(load, server.engine).exact


def make_records(server: RunningServer, count: int) -> list[tuple[bytes, Headers]]:
    value = Vector.from_numpy(np.zeros(LATENT_DIM, np.float32))
    records = []
    for number in range(count):
        message_id = make_message_id(number, bytes(10))
        message = LatentMessage(
            CLIENT, "hand", value, "learning", NOW, message_id, server.encoder_id
        )
        record = make_record(message, json_form.CONTENT_TYPE, server.topics)
        records.append((record.value, record.headers))
    return records


def test_metrics_agree_with_what_was_sent(settings: KafkaSettings, tmp_path: Path) -> None:
    with serving(settings, tmp_path, f"sqlite:///{tmp_path / 'ioa.db'}") as server:
        probe, records = server.ingest, make_records(server, 40)
        sent = [*records, *records[:3], (b"junk", []), (b"more junk", [])]
        send_raw(settings.bootstrap_servers, server.topics.of(LEARNING).name, sent)
        probe.wait_for_metric("ioa_consumed_records_total", 45)
        outcomes = {
            outcome: probe.metric("ioa_learning_messages_total", outcome=outcome)
            for outcome in ("stored", "known", "refused")
        }
        assert outcomes == {"stored": 40, "known": 3, "refused": 2}
        assert server.count_stored() == 40
        assert probe.metric("ioa_dead_letters_total") == 2
        assert probe.metric("ioa_batch_seconds_count") >= 1
        assert probe.sum_metric("ioa_partition_position") == 45
        assert probe.sum_metric("ioa_partition_lag") == 0
        assert CLIENT not in probe.get("/metrics")[1]

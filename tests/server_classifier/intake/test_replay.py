"""Replays of a real topic into real databases, beside a live server."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, update

from server_classifier.answering.inference import run_infer
from server_classifier.heads.onnx_graph import export_onnx
from server_classifier.heads.training import fit
from server_classifier.intake.ingest import run_ingest
from server_classifier.settings import ServerSettings
from server_classifier.store.backup.backup import back_up
from server_classifier.store.database import open_database, reading, writing
from server_classifier.store.datasets.members import find_members
from server_classifier.store.errors import ReplayRefused
from server_classifier.store.latents.selection import Selection
from server_classifier.store.latents.training_set import TrainingSet, read_training_set
from server_classifier.store.positions import list_positions
from server_classifier.store.replays import refuse_live
from server_classifier.store.tables import latent
from stream.exchange.exchanges import LEARNING, SERVICE
from stream.exchange.topics import Topics
from stream.kafka.offsets import read_ranges
from stream.kafka.settings import KafkaSettings
from stream.replay.pacing import read_paced
from tests.support.deployment import QUICK_TRAINING
from tests.support.ingestion import Ingestion
from tests.support.load import wait_for_rows
from tests.support.manifests import make_manifest
from tests.support.replays import (
    Killed,
    Publisher,
    Replayer,
    count_rows,
    encode,
    opened,
    read_backwards,
    read_in_pieces,
)
from tests.support.server import LATENT_DIM, run_server
from tests.support.topics import send_raw
from tests.support.waiting import wait_until


def test_two_replays_agree_whatever_is_read_first(
    replayer: Replayer, database_url: str, other: str
) -> None:
    publisher = Publisher(replayer.live.kafka)
    publisher.publish(300)
    publisher.publish_trouble()
    row, report = replayer.run(database_url)
    source = replayer.open()
    again, backwards = replayer.run(other, source, read=read_backwards(source))
    assert again.digest == row.digest
    assert backwards == report
    assert (report.read, report.stored, report.known, report.filtered) == (306, 302, 2, 0)
    assert {
        name: (refusals.count, refusals.first[0]) for name, refusals in report.refused.items()
    } == {
        "message": (1, 3),
        "clientID": (1, 0),
    }


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_replay_that_was_killed_goes_on_where_it_was(
    replayer: Replayer, database_url: str, other: str, pieces: int
) -> None:
    publisher = Publisher(replayer.live.kafka)
    publisher.publish(300)
    publisher.publish_trouble()
    whole, report = replayer.run(other)

    handled: list[int] = []

    def die(done: int) -> None:
        handled.append(done)
        if len(handled) == pieces:
            raise Killed

    source = replayer.open()
    with pytest.raises(Killed):
        replayer.run(database_url, source, read=read_in_pieces(source, 50, die))
    Publisher(replayer.live.kafka, seed=1).publish(20)  # behind the end of then
    read: list[int] = []
    source = replayer.open()
    row, resumed = replayer.run(database_url, source, read=read_in_pieces(source, 50, read.append))
    assert (row.digest, resumed) == (whole.digest, report)
    assert read[-1] == report.read - handled[-1]
    assert replayer.run(database_url)[0] == row  # finished: nothing is read any more


def test_the_live_server_does_not_notice_a_replay(
    kafka: str, topic_prefix: str, tmp_path: Path, other: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka, prefix=topic_prefix)
    with run_server(settings, tmp_path) as server:
        server.register("radiology-1")
        live = Ingestion(settings, server.settings.database_url, server.engine, tmp_path)
        load = live.make_load()
        with load.running():
            wait_until(lambda: server.count_stored() > 200, "nothing is stored")
            _, report = Replayer(live).run(other)
            stored = server.count_stored()
            wait_until(lambda: server.count_stored() > stored, "ingestion stands still")
        assert wait_for_rows(load, server.engine).exact
        with reading(server.engine) as connection:
            positions = {row.partition: row.next_offset for row in list_positions(connection)}
        admin = AdminClient({"bootstrap.servers": kafka})
        ends = {
            held.partition: held.high
            for held in read_ranges(admin, server.topics.of(LEARNING).name)
        }
        assert positions == ends
        wait_until(lambda: read_committed(admin, topic_prefix) == ends, "Kafka's offsets lag")
        groups = {group.group_id for group in admin.list_consumer_groups().result().valid}
    assert {group for group in groups if group.startswith(topic_prefix)} == {
        f"{topic_prefix}.ingest",
        f"{topic_prefix}.infer",
    }
    assert report.stored > 200


def read_committed(admin: AdminClient, prefix: str) -> dict[int, int]:
    """Return what Kafka itself believes to be read by the live ingester, where it is anything."""
    group = ConsumerGroupTopicPartitions(f"{prefix}.ingest")
    (future,) = admin.list_consumer_group_offsets([group]).values()
    return {
        committed.partition: max(committed.offset, 0)
        for committed in future.result().topic_partitions
    }


def test_the_replayed_model_is_the_live_one(
    replayer: Replayer, database_url: str, other: str
) -> None:
    live = replayer.live
    Publisher(live.kafka).publish(200)
    with live.start("ingest"):
        wait_until(lambda: count_rows(live.engine) == 200, "not all is stored")
    row, _ = replayer.run(database_url)
    with opened(database_url) as replayed:
        assert members(replayed) == members(live.engine)
        assert train(replayed) == train(live.engine)
    without, _ = replayer.run(other, selection=Selection(labels=("hand",)))
    assert without.digest != row.digest


def members(engine: Engine) -> list[bytes]:
    with reading(engine) as connection:
        return find_members(connection, Selection(), lambda _: None).tolist()


def read_all_latents(engine: Engine) -> TrainingSet:
    with reading(engine) as connection:
        return read_training_set(
            connection,
            make_manifest().network_id,
            max_rows=1000,
            rng=np.random.default_rng(0),
        )


def train(engine: Engine) -> str:
    """Return the sum of the classifier's file."""
    latents = read_all_latents(engine)
    model, _ = fit(latents.values, latents.targets, seed=3, settings=QUICK_TRAINING)
    return hashlib.sha256(export_onnx(model)).hexdigest()


def test_questions_are_stored_without_a_label_and_never_learned(
    replayer: Replayer, other: str
) -> None:
    latent = np.zeros(LATENT_DIM, np.float32)
    body = encode("018f4d2e-7c1a-7bcd-8ef0-123456789abc", "", latent, mode="service")
    topic = Topics(replayer.live.kafka.prefix).of(SERVICE).name
    avro = [("content-type", b"avro/binary")]
    send_raw(replayer.live.kafka.bootstrap_servers, topic, [(body, avro)])
    _, report = replayer.run(other, mode="service")
    with opened(other) as replayed:
        learned = read_all_latents(replayed)
    assert (report.stored, learned.available, learned.skipped) == (1, 0, 1)


def test_a_paced_replay_keeps_the_distances_in_time(replayer: Replayer, other: str) -> None:
    Publisher(replayer.live.kafka).publish_trouble()
    source = replayer.open()
    now, waits = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waits.append(seconds)

    read = lambda ranges: read_paced(  # noqa: E731
        source, ranges, speed=0.5, clock=lambda: now, sleep=sleep
    )
    times = [record.timestamp for batch in read(source.ranges) for record in batch]
    assert times == sorted(times)
    assert len(times) == 6
    assert sum(waits) == pytest.approx((times[-1] - times[0]) / 1000 / 0.5, abs=1e-3)
    assert replayer.run(other, source, read=read)[1].read == 6


def test_a_database_that_is_in_use_is_refused(
    replayer: Replayer, database_url: str, tmp_path: Path
) -> None:
    live = replayer.live
    Publisher(live.kafka).publish(10)
    back_up(live.engine, backup := tmp_path / "backup.db")
    before = backup.read_bytes()
    for url in (live.database_url, f"sqlite:///{backup}"):
        with pytest.raises(ReplayRefused, match="was not filled by a replay and is not empty"):
            replayer.run(url)
    assert backup.read_bytes() == before
    same = live.database_url.replace("/live/", "/live/../live/")
    with pytest.raises(ReplayRefused, match="is the live database"):
        refuse_live(open_database(same), live.database_url)  # which opens nothing yet
    replayer.run(database_url)
    with pytest.raises(ReplayRefused, match=r"another replay \(selection: "):
        replayer.run(database_url, selection=Selection(sites=("st-mary",)))
    for service in (run_ingest, run_infer):
        with pytest.raises(ReplayRefused, match="filled by a replay"):
            service(live.kafka, ServerSettings(database_url=database_url), Event())


def test_a_database_with_tables_of_others_is_refused(replayer: Replayer, tmp_path: Path) -> None:
    Publisher(replayer.live.kafka).publish(10)
    with closing(sqlite3.connect(tmp_path / "pacs.db")) as others:
        others.execute("CREATE TABLE patients (name TEXT)")
    with pytest.raises(ReplayRefused, match=r"is not empty \(there is patients"):
        replayer.run(f"sqlite:///{tmp_path / 'pacs.db'}")


def test_a_finished_replay_whose_rows_were_changed_is_refused(
    replayer: Replayer, database_url: str
) -> None:
    Publisher(replayer.live.kafka).publish(10)
    first, _ = replayer.run(database_url)
    assert replayer.run(database_url)[0] == first
    with opened(database_url) as engine, writing(engine) as connection:
        connection.execute(update(latent).where(latent.c.label == "hand").values(label="chest"))
    with pytest.raises(ReplayRefused, match="was changed since this replay has filled it"):
        replayer.run(database_url)

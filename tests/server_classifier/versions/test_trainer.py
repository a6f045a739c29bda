from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from uuid import UUID

import numpy as np
import onnx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from structlog.testing import capture_logs

from server_classifier.answering.prediction import Classifier
from server_classifier.heads.settings import TrainingSettings
from server_classifier.operations.monitor import Monitor
from server_classifier.settings import ServerSettings
from server_classifier.store.classifiers import latest_classifier, list_classifiers
from server_classifier.store.database import open_database, reading, writing
from server_classifier.store.latents.latent_row import LatentRow
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.registry.entries import add_encoder
from server_classifier.store.tables import classifier as classifier_table
from server_classifier.store.tables import latent as latent_table
from server_classifier.versions.schedule import Backlog
from server_classifier.versions.trainer import TELL_SECONDS, Trainer, TrainingStopped
from stream.health import Health
from tests.server_classifier.stored import ENCODER, NOW, make_clusters, make_labelled_rows, make_row
from tests.support.manifests import make_manifest
from tests.support.waiting import LONG, wait_until

SETTINGS = ServerSettings(
    train_interval_seconds=30, train_min_new_rows=40, training=TrainingSettings(min_steps=60)
)


def make_monitor() -> Monitor:
    return Monitor(Health(monotonic), CollectorRegistry())


@dataclass
class Bench:
    """A trainer with a clock that is set by hand."""

    engine: Engine
    settings: ServerSettings = field(default_factory=lambda: SETTINGS)
    time: float = 1000.0
    stop: Event = field(default_factory=Event)

    def start(self, monitor: Monitor | None = None) -> Trainer:
        return Trainer(
            self.engine,
            self.settings,
            clock=lambda: self.time,
            now=lambda: NOW,
            stop=self.stop,
            monitor=monitor or make_monitor(),
        )

    def insert(self, rows: list[LatentRow]) -> None:
        with writing(self.engine) as connection:
            insert_latents(connection, rows)

    def versions(self) -> list[str]:
        with reading(self.engine) as connection:
            return [row.version.split("-")[0] for row in list_classifiers(connection)]

    def load(self) -> Classifier:
        with reading(self.engine) as connection:
            row = latest_classifier(connection, ENCODER.network_id)
        assert row is not None
        return Classifier.load(row)


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(engine)


@pytest.mark.parametrize(
    ("new_rows", "waited", "due"),
    [
        pytest.param(0, 1e9, False, id="nothing new, however long"),
        pytest.param(1, 29.9, False, id="one new, too early"),
        pytest.param(1, 30.0, True, id="one new, interval over"),
        pytest.param(39, 0.0, False, id="nearly enough"),
        pytest.param(40, 0.0, True, id="enough at once"),
    ],
)
def test_training_is_due_after_enough_rows_or_enough_time(
    new_rows: int, waited: float, due: bool
) -> None:
    assert Backlog(1000.0, new_rows).is_due(1000.0 + waited, SETTINGS) is due


def test_enough_new_latents_become_a_classifier_that_works(bench: Bench) -> None:
    trainer = bench.start()
    assert trainer.step() is False
    bench.insert(make_labelled_rows(39))
    assert trainer.step() is False
    bench.insert(make_labelled_rows(1, first=39))
    assert trainer.step() is True
    assert bench.versions() == ["v1"]
    classifier = bench.load()
    latents, targets = make_clusters(50, classes=2, latent_dim=ENCODER.latent_dim, seed=5)
    assert (classifier.predict(latents).argmax(axis=1) == targets).mean() > 0.95
    assert classifier.labels == ("class 0", "class 1")
    assert (classifier.manifest.rows, classifier.manifest.last_latent_id) == (40, 40)


def test_few_latents_wait_for_the_interval_and_train_once(bench: Bench) -> None:
    trainer = bench.start()
    bench.insert(make_labelled_rows(6))
    assert trainer.step() is False
    bench.time += 30
    assert trainer.step() is True
    bench.time += 300
    assert trainer.step() is False
    assert bench.versions() == ["v1"]


def test_the_same_latents_give_the_same_classifier(bench: Bench) -> None:
    bench.insert(make_labelled_rows(40))
    assert bench.start().step() is True
    first = bench.load().manifest.sha256
    with writing(bench.engine) as connection:
        connection.execute(classifier_table.delete())
    assert bench.start().step() is True
    assert bench.load().manifest.sha256 == first


def test_the_order_of_arrival_decides_nothing(bench: Bench) -> None:
    rows = mixed_rows()
    bench.insert(rows)
    assert bench.start().step() is True
    first = bench.load().manifest
    with writing(bench.engine) as connection:
        connection.execute(classifier_table.delete())
        connection.execute(latent_table.delete())
    order = np.random.default_rng(4).permutation(len(rows))
    ids = [str(UUID(int=9000 + number)) for number in range(len(rows))]
    bench.insert([rows[i]._replace(message_id=new) for i, new in zip(order, ids, strict=True)])
    assert bench.start().step() is True
    second = bench.load().manifest
    assert (second.rows, second.labels) == (48, ("class 0", "class 1"))
    assert second.last_latent_id > first.last_latent_id
    assert second.sha256 == first.sha256


def mixed_rows() -> list[LatentRow]:
    """Return rows of two sites and both dtypes, some of them equal but for their ids."""
    rows = make_labelled_rows(40)
    codes = [make_row(100 + i, label=f"class {i % 2}", value=bytes([i % 3] * 4)) for i in range(8)]
    return [row._replace(site=("north", "south")[i % 3 == 0]) for i, row in enumerate(rows + codes)]


def test_the_settings_decide_how_it_is_trained(bench: Bench) -> None:
    training = TrainingSettings(hidden=(5,), epochs=3, min_steps=1, weight_decay=0.1)
    bench.settings = SETTINGS.model_copy(update={"training": training})
    bench.insert(make_labelled_rows(40))
    assert bench.start().step() is True
    manifest = bench.load().manifest
    assert manifest.epochs == 3
    assert manifest.settings["hidden"] == [5]
    assert TrainingSettings.model_validate(manifest.settings) == training
    with reading(bench.engine) as connection:
        row = latest_classifier(connection, ENCODER.network_id)
    assert row is not None
    tensors = onnx.load_from_string(row.onnx).graph.initializer
    assert [list(tensor.dims) for tensor in tensors if len(tensor.dims) == 2] == [[5, 4], [2, 5]]


def test_one_label_is_waited_on_and_said_once(bench: Bench) -> None:
    trainer = bench.start()
    with capture_logs() as logs:
        for batch in range(3):
            rows = make_labelled_rows(40, first=100 * batch, classes=1)
            bench.insert(rows)
            trainer.step()
    assert [log["event"] for log in logs] == ["waiting for a second label"]
    assert logs[0]["labels"] == ("class 0",)
    bench.insert(make_labelled_rows(40, first=1000, classes=2))
    assert trainer.step() is True
    assert bench.load().manifest.rows == 160


def test_a_restarted_trainer_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.insert(make_labelled_rows(40))
    assert bench.start().step() is True
    restarted = bench.start()
    assert restarted.step() is False
    bench.time += 300
    assert restarted.step() is False
    bench.insert(make_labelled_rows(1, first=500))
    assert restarted.step() is True
    assert bench.load().manifest.last_latent_id == 41


def test_each_encoder_has_its_own_classifier(bench: Bench) -> None:
    other = make_manifest(latent_dim=8)
    with writing(bench.engine) as connection:
        add_encoder(connection, other, now=NOW)
    latents, targets = make_clusters(40, classes=2, latent_dim=8)
    bench.insert(
        [
            make_row(900 + i, encoder_id=other.network_id, label=f"kind {t}", dtype="float32",
                     value=latent.tobytes())
            for i, (latent, t) in enumerate(zip(latents, targets, strict=True))
        ]
    )  # fmt: skip
    bench.insert(make_labelled_rows(40))
    trainer = bench.start()
    assert [trainer.step() for _ in range(3)] == [True, True, False]
    with reading(bench.engine) as connection:
        found = {row.encoder_id for row in list_classifiers(connection)}
    assert found == {ENCODER.network_id, other.network_id}
    assert bench.load().labels == ("class 0", "class 1")

    monitor = make_monitor()
    assert bench.start(monitor).step() is False
    assert monitor.registry.get_sample_value("ioa_trained_rows") == 80  # of both, after a restart


def test_more_latents_than_allowed_are_drawn_from(bench: Bench) -> None:
    bench.settings = SETTINGS.model_copy(update={"max_rows": 30})
    bench.insert(make_labelled_rows(50))
    assert bench.start().step() is True
    manifest = bench.load().manifest
    assert (manifest.rows, manifest.available, manifest.last_latent_id) == (30, 50, 50)


def test_latents_that_cannot_be_learned_from_do_not_end_the_trainer(bench: Bench) -> None:
    huge = np.array([3e38, 0, 0, 0], np.float32)
    bench.insert(
        [make_row(900 + i, label="huge", dtype="float32", value=huge.tobytes()) for i in range(20)]
    )
    bench.insert(make_labelled_rows(40))
    trainer = bench.start()
    with capture_logs() as logs:
        assert trainer.step() is True
    assert [log["event"] for log in logs] == ["training failed"]
    assert "diverged" in logs[0]["error"]
    assert bench.versions() == []
    assert trainer.step() is False


def test_a_training_ends_when_told_to_stop(bench: Bench) -> None:
    bench.insert(make_labelled_rows(40))
    bench.stop.set()
    with pytest.raises(TrainingStopped):
        bench.start().step()
    assert bench.versions() == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # its folder is moved away
def test_a_database_that_is_away_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    bench.insert(make_labelled_rows(40))
    bench.engine.dispose()
    away = tmp_path.with_name("away")
    engine = open_database(str(bench.engine.url))
    tmp_path.rename(away)
    monitor = make_monitor()
    metric = monitor.registry.get_sample_value
    blamed = lambda: [fault.what for fault in monitor.health.find_faults()]  # noqa: E731
    with capture_logs() as logs:
        trainer = Trainer(
            engine,
            SETTINGS,
            clock=monotonic,
            now=lambda: NOW,
            stop=bench.stop,
            monitor=monitor,
        )
        thread = Thread(target=trainer.run)
        thread.start()
        try:
            wait_until(lambda: len(logs) >= 2, "the fault is not logged again")
            assert thread.is_alive()
            assert blamed() == ["database"]
            away.rename(tmp_path)
            events = lambda: [log["event"] for log in logs]  # noqa: E731
            wait_until(lambda: "classifier trained" in events(), "nothing is trained")
            wait_until(
                lambda: blamed() == [] and metric("ioa_untrained_rows") == 0, "the fault stays"
            )
        finally:
            bench.stop.set()
            thread.join(LONG)
            engine.dispose()
    first, second = logs[:2]
    assert first["event"] == second["event"] == "waiting for the database"
    assert "its folder must exist" in first["error"]
    assert second["seconds"] == 2 * first["seconds"]
    assert not thread.is_alive()
    assert bench.versions() == ["v1"]
    assert metric("ioa_trainings_total", {"outcome": "trained"}) == 1
    assert (metric("ioa_trained_rows"), metric("ioa_training_seconds_count")) == (40, 1)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_long_training_says_how_far_it_is(bench: Bench) -> None:
    bench.insert(make_labelled_rows(60, classes=30))
    monitor = make_monitor()
    trainer = Trainer(
        bench.engine,
        SETTINGS,
        clock=count(0, TELL_SECONDS / 2).__next__,  # half a minute between any two looks
        now=lambda: NOW,
        stop=bench.stop,
        monitor=monitor,
    )
    with capture_logs() as logs:
        assert trainer.step()
    told = [log for log in logs if log["event"] == "still training"]
    assert len(told) >= 5
    assert (told[0]["rows"], told[0]["labels"]) == (60, 30)
    assert 1 <= told[0]["epoch"] < told[1]["epoch"] <= told[1]["epochs"]
    assert monitor.registry.get_sample_value("ioa_trained_labels") == 30

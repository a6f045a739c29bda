"""Work for labels is linear: five times the labels take about five times as long."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client_autoencoder.images.sets import stratified_order
from ioa.research.studies.scoring import compute_macro_f1, score
from server_classifier.store.database import ensure_current, open_database, reading, writing
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.latents.training_set import read_training_set
from server_classifier.store.registry.entries import add_encoder
from tests.server_classifier.stored import ENCODER, NOW, make_row

Work = Callable[[], object]


def order(count: int, _: Path) -> Work:
    labels = [f"label {number}" for number in range(count)]
    return lambda: stratified_order(labels, np.random.default_rng(0))


def read(count: int, folder: Path) -> Work:
    engine = open_database(f"sqlite:///{folder / str(count)}.db")
    ensure_current(engine)
    rows = [make_row(number, label=f"label {number}") for number in range(count)]
    with writing(engine) as connection:
        add_encoder(connection, ENCODER, now=NOW)
        insert_latents(connection, rows)

    def work() -> None:
        with reading(engine) as connection:
            rng = np.random.default_rng(0)
            read_training_set(connection, ENCODER.network_id, max_rows=count, rng=rng)

    return work


def rate(count: int, _: Path) -> Work:
    names = [f"label {number}" for number in range(count)]
    likely, places = np.ones((count, 1), np.float32), np.arange(count)

    def work() -> None:
        score(likely, 0 * places, places, labels=names, sites=names, majority=0)
        compute_macro_f1(places, places)

    return work


@pytest.mark.parametrize("make", [order, read, rate])
def test_work_is_linear_in_labels(make: Callable[[int, Path], Work], tmp_path: Path) -> None:
    few, many = (measure(make(count, tmp_path)) for count in (4_000, 20_000))
    assert many < 10 * few


def measure(work: Work) -> float:
    """Return the shortest processor time of three runs."""
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)

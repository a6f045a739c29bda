"""Refusing costs about as little as storing, is logged once with a count, and delays nobody."""

import json
import time

import psutil
import pytest

from benchmarks.refusals import (
    LABELS,
    LONG_DIM,
    SHAPE,
    STORED,
    Case,
    Server,
    list_cases,
    list_long_cases,
    write_json,
)
from server_classifier.store.database import writing
from server_classifier.store.registry.entries import add_encoder
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.repeated_log import RepeatedLog
from tests.support.ingestion import CLIENT, Ingestion
from tests.support.load import wait_for_rows
from tests.support.manifests import make_manifest
from tests.support.server import NOW
from tests.support.topics import Headers, send_raw

MOST = 2.0
NOISE = 1.5  # of a few hundred milliseconds on a busy machine; ``make bench`` measures for longer
BYTES = 1_500_000
REASONS = {
    "JSON": {"unknown client", "label not declared", "unit too long", "not a number", "cut off"},
    "Avro": {"wrong length", "cut off"},
    "long": {"shape in Avro", "key twice", "parameters", "lists", "too large (3 MB)"},
}


def find_cases(form: str) -> dict[str, Case]:
    """Return what is stored and the reasons of one form, by reason."""
    wanted = REASONS[form] | {STORED}
    cases = [case for case in [*list_cases(), *list_long_cases()] if case.form == form]
    found = {case.reason: case for case in cases if case.reason in wanted}
    assert found.keys() == wanted
    return found


@pytest.mark.parametrize("form", REASONS)
def test_refusing_costs_little_more_than_storing(live: Ingestion, form: str) -> None:
    with writing(live.engine) as connection:
        for latent_dim in (SHAPE.latent_dim, LONG_DIM):
            add_encoder(connection, make_manifest(latent_dim), now=NOW)
    with live.start("refusing", labels=LABELS) as process:
        process.wait_for("reading begins")
        server = Server(live.kafka, live.engine, psutil.Process(process.pid))
        # A busy machine makes any of them dear for a moment.
        ratios = [measure(server, find_cases(form)) for _ in range(3)]
    least = {reason: min(found[reason] for found in ratios) for reason in ratios[0]}
    assert {reason: ratio for reason, ratio in least.items() if ratio > MOST * NOISE} == {}


def measure(server: Server, cases: dict[str, Case]) -> dict[str, float]:
    """Return what handling each costs beside storing, by processor time."""
    prices = {}
    for reason, case in cases.items():
        size = len(case.make(0))
        records = max(1, min(2_000, BYTES // size))
        server.handle(case, records)
        seconds = server.handle(case, records)
        prices[reason] = seconds / (records * size if case.form == "long" else records)
    return {reason: price / prices[STORED] for reason, price in prices.items()}


def test_repeated_refusals_are_logged_once_with_a_count(live: Ingestion) -> None:
    load = live.make_load()
    bad: list[tuple[bytes | None, Headers]] = [
        (write_json(n, label="x" * 300, value=[n % 100] * 4), []) for n in range(1_000)
    ]
    bad += [(write_json(n, value=[n % 100, "x"]), []) for n in range(200)]
    bad += [(b"no JSON", [])] * 300
    with live.start("logging") as process:
        process.wait_for("reading begins")
        topic = Topics(live.kafka.prefix).of(LEARNING).name
        send_raw(live.kafka.bootstrap_servers, topic, bad)
        began = time.monotonic()
        load.send(20)
        load.flush()
        assert wait_for_rows(load, live.engine).lost == 0
        assert time.monotonic() - began < 5
        assert process.stop() == 0
    counts: dict[tuple[str | None, str | None], list[int]] = {}
    for line in map(json.loads, process.text.splitlines()):
        if line["event"] == "refused":
            counts.setdefault((line["client"], line["field"]), []).append(line["count"])
    assert {key: sum(each) for key, each in counts.items()} == {
        (CLIENT, "label"): 1_000,
        (CLIENT, "value"): 200,
        (None, None): 300,
    }
    # At first, and once more at the end; every ten seconds on a machine that is very busy.
    assert all(len(each) <= 4 for each in counts.values())


def test_what_is_repeated_is_logged_again_after_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    log = RepeatedLog("it happened", lambda: now[0])
    logged = []
    for second in range(25):
        now[0] = float(second)
        log.note(f"at {second}", who="a")
        if second == 3:
            log.note("once", who="b")
        log.report()
        logged.append(len(caplog.records))
        caplog.clear()
    assert [second for second, lines in enumerate(logged) if lines] == [0, 3, 10, 20]
    log.report(all_now=True)
    (last,) = caplog.records
    assert last.getMessage().count("count=4")

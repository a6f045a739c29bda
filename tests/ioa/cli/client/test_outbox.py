"""``ioa client status`` and ``ioa outbox`` as a person types them."""

import base64
import json
from pathlib import Path

import pytest

from client_autoencoder.outbox.entries import Limits, Outcome
from client_autoencoder.outbox.outbox import Outbox
from stream.exchange.outgoing_record import OutgoingRecord
from stream.kafka.settings import KafkaSettings
from tests.support.commands import run, run_client
from tests.support.encoders import train_encoder
from tests.support.images import draw_images, write_class_folders
from tests.support.outgoing_records import make_records

CLIENT = "radiology-1"
NOBODY = "127.0.0.1:1"


@pytest.fixture
def records() -> list[OutgoingRecord]:
    return make_records(4)


@pytest.fixture
def directory(tmp_path: Path, records: list[OutgoingRecord]) -> Path:
    """An outbox with one refused, one delivered and two queued records, and a skipped file."""
    path = tmp_path / "outbox" / f"{CLIENT}.db"
    owner = f"client {CLIENT} with topics ioa.*"
    with Outbox(path, owner=owner, limits=Limits(), clock=lambda: 1_750_000_000.0) as outbox:
        outbox.put(records, [f"{number}.png" for number in range(4)])
        refused = Outcome(records[0].message_id, "refused", "label: 'x' is not taught")
        outbox.update([records[1].message_id], [refused])
        outbox.note_skipped([("bad.png", "is truncated")])
    return path.parent


@pytest.fixture
def options(directory: Path) -> tuple[object, ...]:
    return ("--client-id", CLIENT, "--outbox", directory)


def test_the_status_counts_and_gives_reasons(options: tuple[object, ...]) -> None:
    lines = [line.split() for line in run("client", "status", *options).stdout.splitlines()]
    counts = {line[0]: line[1] for line in lines if line[1:] and line[1].isdigit()}
    assert counts["encoded"] == "4"
    assert (counts["queued"], counts["delivered"], counts["acknowledged"]) == ("2", "1", "0")
    assert (counts["refused"], counts["skipped"]) == ("1", "1")
    text = run("client", "status", *options).stdout
    assert "1  label: 'x' is not taught (0.png)" in text
    assert "1  is truncated (bad.png)" in text


def test_the_status_as_json_names_every_refusal(
    options: tuple[object, ...], records: list[OutgoingRecord]
) -> None:
    status = json.loads(run("client", "status", *options, "--json").stdout)
    assert (status["client_id"], status["refused"], status["oldest"]) == (
        CLIENT,
        1,
        "2025-06-15T15:06:40.000+00:00",
    )
    (refusal,) = status["refusals"]
    assert refusal["message_id"] == records[0].message_id
    assert status["skipped_files"][0]["name"] == "bad.png"


def test_what_waits_is_listed_without_its_content(
    options: tuple[object, ...], records: list[OutgoingRecord]
) -> None:
    lines = run("outbox", "list", *options).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [records[1].message_id, "delivered"],
        [records[2].message_id, "queued"],
        [records[3].message_id, "queued"],
    ]
    listed = json.loads(run("outbox", "list", *options, "--json").stdout)["messages"]
    assert [message["deliveries"] for message in listed] == [1, 0, 0]
    assert "value" not in listed[0]


def test_an_export_holds_the_exact_bytes(
    options: tuple[object, ...], records: list[OutgoingRecord], tmp_path: Path
) -> None:
    target = tmp_path / "waiting.jsonl"
    result = run("outbox", "export", target, *options)
    assert result.stdout == f"3 messages written to {target}\n"
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [base64.b64decode(row["value"]) for row in rows] == [
        record.value for record in records[1:]
    ]
    assert [row["state"] for row in rows] == ["delivered", "queued", "queued"]
    again = run("outbox", "export", target, *options)
    assert again.returncode == 1
    assert f"{target} cannot be written" in again.stderr


def test_messages_are_dropped_only_when_that_is_meant(
    options: tuple[object, ...], records: list[OutgoingRecord]
) -> None:
    refused = run("outbox", "discard", *options)
    assert refused.returncode == 1
    chosen = run("outbox", "discard", records[2].message_id, "--yes", *options)
    assert chosen.stdout == "1 messages dropped\n"
    assert run("outbox", "discard", "--yes", *options).stdout == "2 messages dropped\n"
    status = json.loads(run("client", "status", *options, "--json").stdout)
    assert (status["queued"], status["delivered"], status["discarded"]) == (0, 0, 3)


@pytest.mark.parametrize(
    "command", [("client", "status"), ("outbox", "list"), ("outbox", "export", "x")]
)
def test_without_an_outbox_the_file_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run(*command, "--client-id", CLIENT, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith(f"ioa: there is no outbox ioa-outbox/{CLIENT}.db")
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_encoder(tmp_path_factory.mktemp("encoders") / "made")


def test_publishing_without_a_broker_keeps_everything_and_says_where(
    encoder: Path, tmp_path: Path
) -> None:
    paths = write_class_folders(tmp_path / "images", draw_images(9))
    paths[4].write_bytes(b"")
    kafka = KafkaSettings(bootstrap_servers=NOBODY)
    where = ("--outbox", tmp_path / "outbox")
    result = run_client(
        *(kafka, CLIENT, encoder, "client", "publish", "--data", tmp_path / "images"),
        *("--timeout", "1", *where),
    )
    assert result.returncode == 1
    assert f"no Kafka broker answers at {NOBODY}" in result.stderr
    assert "sent 8, acknowledged 0, refused 0, unanswered 8, skipped 1" in result.stdout
    assert f"8 messages wait in {tmp_path / 'outbox' / CLIENT}.db" in result.stderr
    told = run_client(kafka, CLIENT, encoder, "client", "status", "--json", *where)
    status = json.loads(told.stdout)
    assert (status["encoded"], status["queued"], status["skipped"]) == (8, 8, 1)

"""``ioa dead-letter`` as a person types it."""

import base64
import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from ioa.cli.main import app
from stream.errors import StreamError
from stream.exchange.exchanges import LEARNING
from stream.exchange.topics import Topics
from stream.kafka.settings import KafkaSettings
from tests.support.dead_letters import make_dead_letter, publish_dead_letters, read_topic
from tests.support.topics import make_topics

Run = Callable[..., Result]


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> KafkaSettings:
    return make_topics(kafka, topic_prefix)


@pytest.fixture
def run(settings: KafkaSettings) -> Run:
    def run(command: str, *arguments: str, answer: str | None = None) -> Result:
        options = ["-b", settings.bootstrap_servers, "--prefix", settings.prefix]
        return CliRunner().invoke(app, ["dead-letter", command, *arguments, *options], input=answer)

    return run


def test_dead_letters_are_listed_the_newest_last(settings: KafkaSettings, run: Run) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings, number) for number in range(3)])
    result = run("list", "--limit", "2")
    learning = Topics(settings.prefix).of(LEARNING).name
    assert [line.split()[::2][:2] for line in result.stdout.splitlines()] == [
        ["0:1", f"{learning}[2]@1"],
        ["0:2", f"{learning}[2]@2"],
    ]
    assert "radiology-1  label  'x' is not a declared label" in result.stdout
    assert result.stderr == "and 1 older ones; --limit shows more\n"


def test_dead_letters_are_chosen_by_field_and_client(settings: KafkaSettings, run: Run) -> None:
    other = make_dead_letter(settings, 1, field="value", headers=[("ioa-client", b"other")])
    publish_dead_letters(settings, [make_dead_letter(settings), other])

    def list_positions(*options: str) -> list[str]:
        found = json.loads(run("list", *options, "--json").stdout)
        return [entry["position"] for entry in found["letters"]]

    assert list_positions() == ["0:0", "0:1"]
    assert list_positions("--field", "value") == ["0:1"]
    assert list_positions("--client-id", "radiology-1") == ["0:0"]
    assert list_positions("--client-id", "radiology-1", "--field", "value") == []


def test_what_clients_wrote_does_not_reach_the_terminal_raw(
    settings: KafkaSettings, run: Run
) -> None:
    evil = "\x1b[2J\r\nioa: all is well [bold]"
    publish_dead_letters(
        settings,
        [make_dead_letter(settings, reason=evil, value=evil.encode(), headers=[(evil, b"")])],
    )
    assert len(run("list").stdout.splitlines()) == 1
    for text in (run("list").stdout, run("show", "0:0", "--body").stdout):
        assert "\x1b" not in text
        assert "\\x1b[2J\\r" in text
        assert "[bold]" in text


def test_the_body_is_shown_on_request_only(settings: KafkaSettings, run: Run) -> None:
    publish_dead_letters(
        settings, [make_dead_letter(settings, value=b"patient 7"), make_dead_letter(settings, 1)]
    )
    assert "patient 7" not in run("list").stdout + run("show", "0:0").stdout
    assert "body" not in json.loads(run("show", "0:0", "--json").stdout)
    assert run("show", "0:0", "--body").stdout.endswith("body\npatient 7\n")
    binary = base64.b64encode(b"\xff\x00body").decode()
    assert run("show", "0:1", "--body").stdout.endswith(f"body\nbase64 {binary}\n")
    assert json.loads(run("show", "0:1", "--body", "--json").stdout)["body"] == binary


def test_a_dead_letter_is_shown_with_its_headers(settings: KafkaSettings, run: Run) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings)])
    lines = run("show", "0:0").stdout.splitlines()
    assert "header        ioa-client: radiology-1" in lines
    assert "header        empty: -" in lines
    assert f"{'bytes':<14}6" in lines


def test_all_are_sent_again_after_a_question(settings: KafkaSettings, run: Run) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings, number) for number in range(150)])
    refused = run("retry", "--all", answer="n\n")
    assert refused.exit_code == 1
    assert "Send 150 dead letters again?" in refused.stderr
    learning = Topics(settings.prefix).of(LEARNING).name
    assert read_topic(settings, learning) == []
    sent = run("retry", "--all", answer="y\n")
    assert sent.exit_code == 0
    assert sent.stdout.endswith("150 dead letters sent again\n")
    assert [one.headers[0][1] for one in read_topic(settings, learning)] == [
        b"%d" % number for number in range(150)
    ]
    assert run("list").stdout.count("(sent again)") == 100


def test_what_was_not_sent_is_exit_code_1(settings: KafkaSettings, run: Run) -> None:
    publish_dead_letters(settings, [make_dead_letter(settings)])
    result = run("retry", "0:0", "0:9", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["sent"] == ["0:0"]
    assert report["refused"]["0:9"] == "is not there; the topic holds 0:0 to 0:0"


def test_an_absent_dead_letter_is_one_line(settings: KafkaSettings, run: Run) -> None:
    result = run("show", "0:3")
    assert isinstance(result.exception, StreamError)
    assert str(result.exception) == "0:3 is not there; the topic holds nothing"


@pytest.mark.parametrize("arguments", [[], ["--all", "0:1"], ["0:1", "--field", "label"]])
def test_what_contradicts_itself_is_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("retry", *arguments).exit_code == 2

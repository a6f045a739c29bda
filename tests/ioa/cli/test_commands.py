"""Every command explains itself, and known errors are one line on standard error."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from ioa.cli.main import app
from tests.support.commands import IOA, run


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for child_name, child in command.commands.items():
            yield from walk(child, f"{name} {child_name}")
    else:
        yield name, command


COMMANDS = dict(walk(typer.main.get_command(app), "ioa"))


def test_all_commands_are_there() -> None:
    assert len(COMMANDS) >= 41
    assert {"ioa demo", "ioa client ask", "ioa encoder add", "ioa broker stop"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_shows_an_example_of_itself(name: str) -> None:
    text = " ".join(str(COMMANDS[name].help).split())
    assert f"Example: {name}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name: str) -> None:
    silent = [
        option.name
        for option in COMMANDS[name].params
        if not getattr(option, "help", None) and option.name != "help"
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["client", "ask", "--data", "digits", "--client-id", "A", "--encoder", "."],
            "clientID: 'A'",
        ),
        (
            ["client", "ask", "--data", "x", "--client-id", "a", "--encoder", "e"],
            "e is not an encoder",
        ),
        (["experiment", "003", "--data", "nowhere"], "nowhere is neither a file nor a folder"),
        (["experiment", "summary"], "there is no result in experiments/results"),
        (["encoder", "add", "nowhere"], "nowhere is not an encoder"),
        (["client", "list", "--database", "mysql://x"], "use sqlite or postgresql"),
        (["topic", "check", "-b", "127.0.0.1:1"], "no Kafka broker answers at 127.0.0.1:1"),
        (
            ["client", "add", "Upper", "--site", "s", "-b", "127.0.0.1:1"],
            "clientID: 'Upper'",
        ),
    ],
)
def test_a_known_error_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("ioa: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["client", "publish", "--data", "digits"], "--client-id is missing"),
        (["client", "status"], "--client-id is missing"),
        (["client", "ask", "--data", "digits", "--client-id", "a"], "--encoder is missing"),
    ],
)
def test_a_missing_option_is_one_line_and_wrong_usage(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"ioa: {words}")
    assert len(result.stderr.splitlines()) == 1


def test_help_names_the_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "[env: IOA_CLIENT__FORM]" in run("client", "publish", "--help").stdout


def test_options_of_a_longer_command_are_in_groups() -> None:
    long = {name: command for name, command in COMMANDS.items() if len(command.params) > 10}
    for name, command in long.items():
        groups = {getattr(option, "rich_help_panel", None) for option in command.params}
        assert len(groups) >= 3, f"{name} shows {len(command.params)} options in {groups}"
    assert "ioa client publish" in long


def test_topics_are_printed_without_a_cluster() -> None:
    result = run("topic", "list", "--prefix", "trial")
    assert result.returncode == 0
    for name in ("trial.learning", "trial.replies.<clientID>", "trial.dead-letters"):
        assert name in result.stdout


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("ioa 0.")


def test_an_error_of_a_process_is_one_line() -> None:
    """Other tests run commands without a process of their own, which takes a second to import."""
    command = [*IOA, "encoder", "add", "nowhere"]
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert re.fullmatch("ioa: nowhere is not an encoder.*\n", failed.stderr)

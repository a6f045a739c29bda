"""The names that commands had before still work, and no help shows them."""

import json
from pathlib import Path

import pytest

from ioa.cli.aliases import use_new_name
from tests.support.commands import run

COMMANDS = {
    "topics create": "topic create",
    "topics check": "topic check",
    "dead-letters list": "dead-letter list",
    "dead-letters show": "dead-letter show",
    "dead-letters retry": "dead-letter retry",
    "client outbox list": "outbox list",
    "client outbox drain": "outbox drain",
    "client outbox export": "outbox export",
    "client outbox discard": "outbox discard",
    "server client add": "client add",
    "server client list": "client list",
    "server encoder add": "encoder add",
    "server encoder list": "encoder list",
    "server db upgrade": "database upgrade",
    "server db check": "database check",
    "server db backup": "database backup",
    "server db restore": "database restore",
    "server offsets list": "database position list",
    "server offsets reset": "database position reset",
    "archive verify": "archive check",
}
HIDDEN = {
    "": {"topics", "dead-letters"},
    "server": {"client", "encoder", "db", "offsets"},
    "client": {"outbox"},
    "archive": {"verify"},
}


@pytest.mark.parametrize("old", COMMANDS)
def test_an_old_name_is_the_new_command(old: str) -> None:
    result, expected = (run(*name.split(), "--help") for name in (old, COMMANDS[old]))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == expected.stdout
    assert f"ioa {COMMANDS[old]} [OPTIONS]" in result.stdout


@pytest.mark.parametrize(("group", "names"), HIDDEN.items())
def test_no_help_shows_an_old_name(group: str, names: set[str]) -> None:
    lines = run(*group.split(), "--help").stdout.splitlines()
    shown = {line.split()[1] for line in lines if line.startswith("│ ")}
    assert len(shown) > 1
    assert shown.isdisjoint(names)


@pytest.mark.parametrize(
    "arguments", ["", "client publish", "replay run --into x", "replay --help", "topic list"]
)
def test_a_new_name_stays(arguments: str) -> None:
    assert use_new_name(arguments.split()) == arguments.split()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("topics", "topic list"),
        ("topics --prefix x", "topic list --prefix x"),
        ("topics --help", "topic --help"),
        ("topics check -b x", "topic check -b x"),
        ("replay --into x", "replay run --into x"),
    ],
)
def test_a_verb_that_was_left_out_is_added(old: str, new: str) -> None:
    assert use_new_name(old.split()) == new.split()


def test_an_old_command_line_prints_what_the_new_one_prints(tmp_path: Path) -> None:
    where = ("--database", f"sqlite:///{tmp_path / 'ioa.db'}", "--json")
    listed = run("server", "encoder", "list", *where)
    assert (listed.returncode, json.loads(listed.stdout), listed.stderr) == (0, [], "")
    failed, expected = (
        run(*name, tmp_path) for name in (("archive", "verify"), ("archive", "check"))
    )
    assert (failed.returncode, failed.stdout) == (1, expected.stdout)


def test_a_replay_may_be_without_a_verb(tmp_path: Path) -> None:
    into = f"sqlite:///{tmp_path / 'ioa.db'}"
    result = run("replay", "--into", into, "--database", into)
    assert (result.returncode, result.stdout) == (1, "")
    assert "is the live database" in result.stderr

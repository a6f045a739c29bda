"""``ioa dataset`` as a person types it."""

import json
from pathlib import Path
from typing import Any

import pytest

from server_classifier.store.database import ensure_current, open_database, writing
from server_classifier.store.latents.rows import insert_latents
from server_classifier.store.tables import dataset_member, latent
from tests.server_classifier.stored import make_row
from tests.support.commands import run

ROWS = [make_row(n, label="cat" if n < 3 else "dog", site=f"site-{n % 2}") for n in range(6)]


@pytest.fixture
def url(database_url: str) -> str:
    """The address of a database with six latents of two sites and two labels."""
    engine = open_database(database_url)
    ensure_current(engine)
    with writing(engine) as connection:
        insert_latents(connection, ROWS)
    engine.dispose()
    return database_url


def run_dataset(url: str, *arguments: object) -> tuple[int, Any]:
    """Run ``ioa dataset`` and return its exit code and its JSON."""
    result = run("dataset", *arguments, "--database", url, "--json")
    assert result.stdout, result.stderr
    return result.returncode, json.loads(result.stdout)


def test_from_a_selection_to_the_difference_of_two(url: str) -> None:
    code, made = run_dataset(url, "create", "cats", "--label", "cat", "--site", "site-0")
    assert (code, made["name"], made["rows"], made["new"]) == (0, "cats", 2, True)
    assert made["selection"] == {"labels": ["cat"], "sites": ["site-0"]}
    _, again = run_dataset(url, "create", "cats", "--label", "cat", "--site", "site-0")
    assert again == made | {"new": False}
    run_dataset(url, "create", "all", "--since", "2023-11-14", "--until", "2023-11-15T00:00:00Z")
    _, listed = run_dataset(url, "list")
    assert [dataset["name"] for dataset in listed] == ["cats", "all"]
    _, parts = run_dataset(url, "diff", "cats", "all")
    assert {part: parts[part]["rows"] for part in parts} == {
        "only_first": 0,
        "only_second": 4,
        "changed": 0,
    }
    assert parts["only_second"]["first"] == [ROWS[n].message_id for n in (1, 3, 4, 5)]
    assert {"site": "site-1", "label": "dog", "rows": 2} in parts["only_second"]["counts"]


def test_what_became_of_the_latents_is_shown(url: str) -> None:
    run("dataset", "create", "all", "--database", url)
    shown = run("dataset", "show", "all", "--database", url)
    assert (shown.returncode, shown.stdout.splitlines()[-1]) == (
        0,
        "all latents are there, as they were",
    )
    assert "site       site-0 3, site-1 3" in shown.stdout
    engine = open_database(url)
    with writing(engine) as connection:
        connection.execute(latent.delete().where(latent.c.message_id == ROWS[4].message_id))
        connection.execute(latent.update().where(latent.c.label == "cat").values(label="dog"))
    engine.dispose()
    code, survey = run_dataset(url, "show", "all")
    assert (code, survey["rows"], survey["gone"]["rows"], survey["changed"]["rows"]) == (1, 6, 1, 3)
    assert survey["gone"]["first"] == [ROWS[4].message_id]
    assert survey["counts"]["label"] == {"dog": 5}


def test_a_shortened_list_is_shown(url: str) -> None:
    run("dataset", "create", "all", "--database", url)
    engine = open_database(url)
    with writing(engine) as connection:
        connection.execute(dataset_member.delete().where(dataset_member.c.ordinal == 5))
    engine.dispose()
    shown = run("dataset", "show", "all", "--database", url)
    assert (shown.returncode, "the list itself is damaged" in shown.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "x", "--site", "site-2"), "did you mean site-1? there are site-0, site-1"),
        (("create", "x", "--encoder", "no"), "is no encoder"),
        (("create", "x", "--since", "yesterday"), "is no time"),
        (("show", "x"), "there is no dataset x"),
        (("diff", "x", "y"), "there is no dataset x"),
    ],
)
def test_errors_are_explained(url: str, arguments: tuple[str, ...], words: str) -> None:
    result = run("dataset", *arguments, "--database", url)
    assert result.returncode in (1, 2)
    assert words in result.stderr


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    result = run("dataset", "list", "--database", "sqlite:///typo.db", cwd=tmp_path)
    assert (result.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "there is no database typo.db" in result.stderr

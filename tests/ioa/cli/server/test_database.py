"""``ioa database`` as a person types it."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from server_classifier.store.database import HEAD, open_database, writing
from server_classifier.store.migrate import migrate
from tests.support.commands import run


def test_from_the_first_tables_to_a_restored_copy(database_url: str, tmp_path: Path) -> None:
    database = ("--database", database_url)
    assert f"were made, at revision {HEAD}" in run("database", "upgrade", *database).stdout
    assert f"are at revision {HEAD}" in run("database", "upgrade", *database).stdout
    copied = run("database", "backup", tmp_path / "backup.db", *database, "--json")
    assert json.loads(copied.stdout)["rows"]["latent"] == 0, copied.stderr
    new = ("--database", f"sqlite:///{tmp_path / 'new.db'}")
    restored = run("database", "restore", tmp_path / "backup.db", *new)
    assert "restored into sqlite:///" in restored.stdout, restored.stderr
    checked = run("database", "check", *new)
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "nothing is wrong")


def test_a_checked_backup_keeps_its_checksum(database_url: str, tmp_path: Path) -> None:
    run("database", "upgrade", "--database", database_url)
    backup = tmp_path / "backups" / "ioa.db"
    backup.parent.mkdir()
    run("database", "backup", backup, "--database", database_url)
    before = sha256(backup.read_bytes()).hexdigest()
    checked = run("database", "check", "--database", f"sqlite:///{backup}")
    assert checked.stdout.splitlines()[-1] == "nothing is wrong", checked.stderr
    assert sha256(backup.read_bytes()).hexdigest() == before
    assert list(backup.parent.iterdir()) == [backup]


def test_a_finding_is_exit_code_1(
    make_database: Callable[[str, Path], str], tmp_path: Path
) -> None:
    url = make_database("sqlite", tmp_path)
    engine = open_database(url)
    with writing(engine) as connection:
        migrate(connection, "0001")
    engine.dispose()
    result = run("database", "check", "--database", url, "--json")
    report = json.loads(result.stdout)
    assert (result.returncode, report["revision"]) == (1, "0001")
    assert len(report["findings"]) == 1


@pytest.mark.parametrize("command", [("check",), ("backup", "backup.db")])
def test_a_missing_file_is_not_made(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = run("database", *command, "--database", "sqlite:///typo.db", cwd=tmp_path)
    assert (result.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "there is no database typo.db" in result.stderr


def test_the_password_is_not_printed() -> None:
    url = "postgresql://ioa:secret@127.0.0.1:1/ioa"
    result = run("database", "check", "--database", url)
    assert result.returncode == 1
    assert "does not answer" in result.stderr
    assert "secret" not in result.stderr + result.stdout

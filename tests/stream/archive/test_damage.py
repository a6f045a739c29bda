"""Damaged archives: every fault is found, named, and keeps all of it from being replayed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.archive import files as archive_files
from stream.archive.checking import verify_archive
from stream.archive.manifest import ArchiveError, ArchiveManifest
from stream.archive.source import ArchiveSource
from stream.replay.window import Window
from tests.support.archives import (
    list_files,
    number_bodies,
    read_archive,
    send,
    write,
)
from tests.support.topics import make_topics

SECOND = "part-000002.parquet"


@pytest.fixture(scope="module")
def original(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an archive of 40 records in four files."""
    settings = make_topics(kafka, "damage")
    send(settings, list(number_bodies(40)), partition=0)
    folder = tmp_path_factory.mktemp("archives") / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_files, "GROUP_RECORDS", 5)
        patch.setattr(archive_files, "FILE_RECORDS", 10)
        write(folder, settings)
    return list_files(folder)


@pytest.fixture
def folder(original: dict[str, bytes], tmp_path: Path) -> Path:
    for name, content in original.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def forge(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change the manifest and make its sum fit."""
    file = folder / "manifest.json"
    document = json.loads(file.read_bytes())
    del document["sha256"]
    change(document)
    plain = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    file.write_text(json.dumps(document | {"sha256": hashlib.sha256(plain).hexdigest()}))


def test_a_sound_archive_has_no_findings(folder: Path) -> None:
    assert len(list(folder.iterdir())) == 5
    assert verify_archive(folder).findings == []
    assert sum(map(len, read_archive(folder).values())) == 40


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "was changed: its sha256 is"),
        (cut, "bytes, not"),
        (Path.unlink, "is missing, and the 10 records in it"),
    ],
)
def test_a_damaged_file_is_named_and_nothing_is_given_out(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder / SECOND)
    (finding,) = verify_archive(folder).findings
    assert finding.startswith(str(folder / SECOND))
    assert words in finding
    source = ArchiveSource(folder, Window())
    with pytest.raises(ArchiveError, match=SECOND):
        next(source.read(source.ranges))


def test_a_file_that_is_not_needed_may_be_damaged(folder: Path) -> None:
    flip(folder / "part-000001.parquet")
    assert sum(map(len, read_archive(folder, Window(35, None)).values())) == 5


def test_every_flipped_bit_of_the_manifest_is_found(
    folder: Path, original: dict[str, bytes]
) -> None:
    content = original["manifest.json"]
    for at in range(0, len(content), 7):
        changed = bytearray(content)
        changed[at] ^= 1
        (folder / "manifest.json").write_bytes(changed)
        if json_or_none(bytes(changed)) != json.loads(content):
            assert "manifest.json" in verify_archive(folder).findings[0], at


def json_or_none(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.parametrize("damage", [cut, Path.unlink])
def test_a_manifest_that_is_cut_off_or_gone_is_named(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(folder / "manifest.json")
    (finding,) = verify_archive(folder).findings
    assert "manifest.json" in finding
    with pytest.raises(ArchiveError, match=r"manifest\.json"):
        ArchiveSource(folder, Window())


def test_a_file_too_many_is_named(folder: Path) -> None:
    (folder / "part-000009.parquet").write_bytes(b"")
    (finding,) = verify_archive(folder).findings
    assert "part-000009.parquet is not part of the archive" in finding


def test_all_findings_are_told(folder: Path) -> None:
    flip(folder / SECOND)
    (folder / "part-000003.parquet").unlink()
    assert len(verify_archive(folder).findings) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it["parts"].pop(1), "the parts before it end at"),
        (lambda it: it["parts"][1].update(records=11), "records"),
        (
            lambda it: it["parts"][0].update(name="../secret"),
            r"parts\.0\.name: String should match",
        ),
        (lambda it: it.update(format="ioa-archive/2"), "its format is 'ioa-archive/2'"),
        (lambda it: it.pop("topic"), "topic: Field required"),
        (lambda it: it.update(more=1), "more: Unexpected keyword argument"),
        (lambda it: it["parts"][0].update(size="1"), r"parts\.0\.size"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(
    folder: Path, change: Callable[[dict[str, object]], object], words: str
) -> None:
    forge(folder, change)
    with pytest.raises(ArchiveError, match=words):
        ArchiveSource(folder, Window())


def test_a_manifest_with_other_counts_than_a_file_is_found(folder: Path) -> None:
    def change(document: dict[str, object]) -> None:
        document["parts"][1]["stretches"][0]["latest"] += 1  # type: ignore[index]

    forge(folder, change)
    (finding,) = verify_archive(folder).findings
    assert SECOND in finding


def test_a_manifest_comes_back_as_it_was(original: dict[str, bytes]) -> None:
    manifest = ArchiveManifest.from_json(original["manifest.json"])
    assert manifest.to_json() == original["manifest.json"]

"""The wheel is complete, packages are pinned, and the pages name only what exists."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier", "ioa")
BUILT = {"build", "dist", "__pycache__"}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "manager"}
PATH_ENDINGS = (".py", ".md", ".avsc", ".toml", ".yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def project_files() -> Iterator[Path]:
    """Yield every file of the project that is neither hidden nor built, relative to its folder."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if is_ours(Path(folder) / name)]
        yield from ((Path(folder) / name).relative_to(ROOT) for name in files)


def is_ours(folder: Path) -> bool:
    built = folder.name in BUILT or folder.suffix == ".egg-info"
    return not (built or folder.name.startswith(".") or (folder / "pyvenv.cfg").exists())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of all files in a wheel, built from a copy so that no old file is in it."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for file in filter(is_built_from, project_files()):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    # No isolation: setuptools is in the extra `test`, so the build needs no network.
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", out)
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, copy], check=True)
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def is_built_from(file: Path) -> bool:
    return file.parts[0] in (*PACKAGES, "tests", "pyproject.toml", "README.md", "LICENSE")


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: list[str]) -> None:
    files = {str(file) for file in project_files() if file.parts[0] in PACKAGES}

    assert {name for name in wheel if ".dist-info/" not in name} == files


@pytest.mark.parametrize(
    "name",
    [
        "schemas/latent.v1.avsc",
        "schemas/py.typed",
        "stream/broker/kafka-jars.lock.json",
        "server_classifier/store/migrations/env.py",
        "server_classifier/store/migrations/versions/0001_first_tables.py",
    ],
)
def test_the_wheel_holds_what_the_program_reads(wheel: list[str], name: str) -> None:
    assert name in wheel


def test_the_wheel_names_its_licence(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_ours(name: str) -> None:
    """A short name such as `stream` may also be that of another package."""
    assert import_module(name).__file__ == str(ROOT / name / "__init__.py")


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [str(file) for file in project_files() if file.stem in SAYS_NOTHING] == []


def test_every_package_that_was_tested_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]

    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in pins)
    assert required_packages() - {canonicalize_name(pin.name) for pin in pins} == set()


def required_packages() -> set[str]:
    """Return all packages that `.[all,test]` installs on this machine."""
    extras = PROJECT["optional-dependencies"]
    todo = [
        Requirement(text)
        for group in (PROJECT["dependencies"], *extras.values())
        for text in group
        if not text.startswith(PROJECT["name"])
    ]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in seen:
                seen.add(key)
                todo += dependencies_of(*key)
    return {name for name, _ in seen}


def dependencies_of(name: str, extra: str) -> list[Requirement]:
    try:
        texts = distribution(name).requires or []
    except PackageNotFoundError:
        return []
    requirements = map(Requirement, texts)
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    ]


def test_the_base_install_is_light() -> None:
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}

    assert names.isdisjoint({"torch", "sqlalchemy", "alembic", "scikit-learn", "matplotlib"})


def test_ci_runs_the_test_commands_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & stat.S_IXUSR
    commands = script.read_text().splitlines()[-2:]
    assert commands == ["make test", "make test-crash"]
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{command}`" in readme for command in commands)


def test_make_prints_all_targets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)

    printed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert re.findall(r"^make ([\w-]+) ", printed, re.MULTILINE) == targets.split()


def test_the_architecture_page_names_only_what_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    tokens = set(re.findall(r"`([^`\s]+)`", text))
    paths = {token for token in tokens if "/" in token or token.endswith(PATH_ENDINGS)}

    assert paths
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []

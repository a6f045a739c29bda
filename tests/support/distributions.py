"""Wheel and source distribution of the project, and a virtual environment with the wheel."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal
from venv import EnvBuilder

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILT = {"build", "dist", "__pycache__"}
_HIDDEN = (".ci/run", ".github/workflows/ci.yml", ".dockerignore", ".gitignore")


def project_files() -> Iterator[Path]:
    """Yield every file of the project that is neither hidden nor built, relative to its folder."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if _is_ours(Path(folder) / name)]
        yield from ((Path(folder) / name).relative_to(ROOT) for name in files if name[0] != ".")


def _is_ours(folder: Path) -> bool:
    built = folder.name in BUILT or folder.suffix == ".egg-info"
    return not (built or folder.name.startswith(".") or (folder / "pyvenv.cfg").exists())


def copy_project(folder: Path) -> Path:
    """Copy what a clean checkout holds, so that nothing built before is in what is built of it."""
    for file in (*project_files(), *map(Path, _HIDDEN)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    return folder


def build(kind: Literal["wheel", "sdist"], source: Path, out: Path) -> Path:
    """Build the project in ``source`` into the empty folder ``out``; return the file.

    setuptools is in the extra `test`, so this needs no network.
    """
    program = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    command = [sys.executable, "-P", "-c", program, str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = out.iterdir()
    return built


def find_required(requirements: Iterable[str]) -> set[str]:
    """Return all distributions that these requirements install on this machine, by name."""
    todo = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key not in seen:
                seen.add(key)
                todo += _find_dependencies(*key)
    return {name for name, _ in seen}


def _find_dependencies(name: str, extra: str) -> list[Requirement]:
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


def install_base(wheel: Path, folder: Path) -> Path:
    """Make a virtual environment with the wheel and no more than it requires; return its ``bin``.

    What it requires is linked from this environment, because there may be no network.
    """
    EnvBuilder(symlinks=True).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for name in find_required(PROJECT["dependencies"]):
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # only for another system or Python
            continue
        for part in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (packages / part).exists():
                (packages / part).symlink_to(str(installed.locate_file(part)))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    # In a checkout on PYTHONPATH pip would find the project itself, installed already.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, env=environment, check=True)
    return folder / "bin"

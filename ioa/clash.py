"""Packages of other distributions with our names: PyPI has a ``stream`` and a ``schemas``, too."""

import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier")


def refuse_clash() -> None:
    """End the program with one line where a package would not be ours; nothing is imported.

    Raises:
        SystemExit: another file would be imported, or another distribution writes to the same one.
    """
    site = Path(__file__).absolute().parent.parent
    for name in _PACKAGES:
        spec = find_spec(name)
        found, ours = Path((spec and spec.origin) or "nothing"), site / name / "__init__.py"
        if found != ours:
            sys.exit(
                f"ioa: `import {name}` would import {found}, not our {ours}: rename that file, "
                f"uninstall what brought it, or use a virtual environment of its own for ioa"
            )
        if (rival := _find_rival(site, name)) is not None:
            sys.exit(
                f"ioa: {ours} belongs to {rival.name.removesuffix('.dist-info')}, too, which is "
                f"installed in the same environment: uninstall that and install ours again, or "
                f"use a virtual environment of its own for ioa"
            )


def _find_rival(site: Path, name: str) -> Path | None:
    """Return where another distribution notes that it has installed the package, too."""
    for record in site.glob(f"{name}-*.dist-info/RECORD"):
        if f"{name}/__init__.py," in record.read_text():
            return record.parent
    return None

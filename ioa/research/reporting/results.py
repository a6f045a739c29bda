"""A paper's result as files: JSON for machines, Markdown and PNG for people."""

import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ioa.errors import NoResult
from stream.artefacts.atomic_file import replace_atomically

Figures = dict[str, Any]
"""Figures by name, as deep as they need be; JSON."""


def prepare_directory(out: Path) -> None:
    """Make the directory of results and check, before long work, that it can be written to.

    Raises:
        NoResult: it cannot; the text says why.
    """
    import matplotlib.figure  # noqa: F401 - missing now is better than missing at the end

    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise NoResult(f"results cannot be written to {out}: {error.strerror}") from error


def write_result(
    out: Path, result: Figures, render_page: Callable[[Figures], str], picture: bytes
) -> Figures:
    """Write ``<name>.json``, ``.md`` and ``.png``; return the figures as they were written."""
    result = _round(result)
    text = json.dumps(result, indent=1) + "\n"
    page = render_page(result)
    for suffix, content in (("json", text.encode()), ("md", page.encode()), ("png", picture)):
        with replace_atomically(out / f"{result['name']}.{suffix}") as draft:
            draft.write_bytes(content)
    return result


def read_results(paths: Sequence[Path], experiments: Collection[str]) -> dict[str, list[Figures]]:
    """Read the JSON files of results, by the number of their experiment.

    Raises:
        NoResult: a file is no result of these experiments; the text names it.
    """
    results: dict[str, list[Figures]] = {}
    for path in paths:
        try:
            result = json.loads(path.read_text())
        except ValueError as error:
            raise NoResult(f"{path} is not JSON: {error}") from error
        number = str(result.get("experiment")) if isinstance(result, dict) else ""
        if number not in experiments:
            raise NoResult(
                f"{path} is no result of experiment {' or '.join(experiments)}; take it out of the "
                "folder"
            )
        results.setdefault(number, []).append(result)
    return results


def _round(value: Any) -> Any:
    """Return figures with six digits after the point, which is more than a repetition gives."""
    if isinstance(value, dict):
        return {name: _round(figure) for name, figure in value.items()}
    if isinstance(value, list | tuple):
        return [_round(figure) for figure in value]
    return round(value, 6) if isinstance(value, float) else value

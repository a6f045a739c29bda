"""Results as files: JSON for machines, Markdown and PNG for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ioa.errors import IoaError
from ioa.research.papers.one_shot_latents.figure import Samples, draw_samples
from ioa.research.papers.one_shot_latents.page import render_page
from ioa.research.papers.one_shot_latents.tables import Figures


class NoResult(IoaError):
    """There is no result, or a file is none."""


def prepare_directory(out: Path) -> None:
    """Make the directory of results, and see that they can be written there, before long work.

    Raises:
        NoResult: they cannot; the text says why.
    """
    import matplotlib.figure  # noqa: F401 - missing now is better than missing at the end

    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise NoResult(f"results cannot be written to {out}: {error.strerror}") from error


def write_result(out: Path, result: Figures, samples: Samples) -> Figures:
    """Write ``<name>.json``, ``.md`` and ``.png``; return the figures as they were written."""
    name = result["name"]
    result = _round(result)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    (out / f"{name}.md").write_text(render_page(result))
    draw_samples(out / f"{name}.png", samples)
    return result


def read_results(paths: Sequence[Path]) -> list[Figures]:
    """Read the JSON files of results.

    Raises:
        NoResult: a file is no result; the text names it.
    """
    results = []
    for path in paths:
        try:
            result = json.loads(path.read_text())
        except ValueError as error:
            raise NoResult(f"{path} is not JSON: {error}") from error
        if not isinstance(result, dict) or result.get("experiment") != "003":
            raise NoResult(f"{path} is no result of experiment 003; take it out of the folder")
        results.append(result)
    return results


def _round(value: Any) -> Any:
    """Return figures with six digits after the point, which is more than repeats."""
    if isinstance(value, dict):
        return {name: _round(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_round(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value

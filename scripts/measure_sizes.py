"""Prints the sizes of the packages as a Markdown table: lines, functions, classes, comments.

python scripts/measure_sizes.py [FOLDER]      of this checkout, or of another one
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

PACKAGES = ("schemas", "stream", "client_autoencoder", "server_classifier", "ioa")
HEAD = ("package", "files", "folders", "lines", "functions: median", "90 %", "longest")
HEAD += ("files > 250 lines", "classes", "comments %")
LONG_FILE = 250

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class File:
    """The sizes of a module; ``functions`` are the lines of each body without its docstring."""

    folder: Path
    lines: int
    comments: int
    classes: int
    functions: list[int]


def measure(path: Path) -> File:
    """Count the lines, comments, classes and functions of a module."""
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    return File(
        path.parent,
        len(text.splitlines()),
        sum(token.type == tokenize.COMMENT for token in _tokens(text)),
        sum(isinstance(node, ast.ClassDef) for node in nodes),
        [_body_lines(node) for node in nodes if isinstance(node, Function)],
    )


def make_row(name: str, files: Sequence[File]) -> tuple[object, ...]:
    """Return the row of a package."""
    functions = [lines for file in files for lines in file.functions]
    lines = sum(file.lines for file in files)
    return (
        name,
        len(files),
        len({file.folder for file in files}),
        f"{lines:,}",
        f"{median(functions):g}",
        f"{quantiles(functions, n=10)[-1]:.0f}",
        max(functions),
        sum(file.lines > LONG_FILE for file in files),
        sum(file.classes for file in files),
        f"{100 * sum(file.comments for file in files) / lines:.1f}",
    )


def _body_lines(function: Function) -> int:
    first, *rest = function.body
    is_docstring = ast.get_docstring(function) is not None
    if is_docstring and not rest:
        return 0
    start = rest[0] if is_docstring else first
    return (function.body[-1].end_lineno or 0) - start.lineno + 1


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def main() -> None:
    """Print the table."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    packages = {
        name: [measure(path) for path in sorted((root / name).rglob("*.py"))] for name in PACKAGES
    }
    rows = [make_row(name, files) for name, files in packages.items()]
    rows.append(make_row("all", [file for files in packages.values() for file in files]))
    for row in (HEAD, ("---",) * len(HEAD), *rows):
        print("|", *(f"{value} |" for value in row))


if __name__ == "__main__":
    main()

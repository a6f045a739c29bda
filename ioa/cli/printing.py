"""What several commands print: rows, JSON, findings and Markdown."""

import json
from collections.abc import Sequence
from typing import Any

import typer


def print_json(content: object) -> None:
    """Print one line of JSON."""
    typer.echo(json.dumps(content))


def print_rows(
    rows: Sequence[dict[str, Any]], as_json: bool, *, empty: str, unbroken: str = ""
) -> None:
    """Print rows as a table or as one line of JSON.

    Args:
        empty: printed instead of a table without rows.
        unbroken: the column whose values stay in one line, however narrow the terminal is.
    """
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(empty)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None)
        for column in rows[0]:
            table.add_column(column, no_wrap=column == unbroken)
        for row in rows:
            table.add_row(*map(str, row.values()))
        Console().print(table)


def print_findings(findings: Sequence[str]) -> None:
    """Print what a check has found, one finding a line."""
    for finding in findings or ["nothing is wrong"]:
        typer.echo(finding)


def print_markdown(text: str) -> None:
    """Print a page of Markdown as text."""
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))

"""Results are written, read, compared, checked against aims and drawn."""

from pathlib import Path

import pytest

from benchmarks.comparison import compare
from benchmarks.growth import draw_growth, list_lines
from benchmarks.measurement import Aim, Column, Measurement, report
from benchmarks.results_file import Results, read_results
from benchmarks.summary import summarise

COLUMNS = {
    "rate": Column("messages/s", better="more"),
    "cpu_us": Column("CPU us", "{:.1f}", better="less"),
    "rss_mb": Column("MB"),
}
AIMS = (Aim("ours", "rate", 100.0), Aim("ours", "cpu_us", 5.0, {"stored": 1000}))


def write(folder: Path, *rates: float, cpu_us: float = 4.0) -> list[Results]:
    """Write a row with a run for each rate and a second row, and read them."""
    small = Measurement("ingest_growth", {"stored": 10}, "ours")
    small.runs = [{"rate": rate, "cpu_us": cpu_us, "rss_mb": 70.0} for rate in rates]
    large = Measurement("ingest_growth", {"stored": 1000}, "ours")
    large.runs = [{"cpu_us": 6.0}]
    report(folder, "ingest_growth", [small, large], COLUMNS, AIMS)
    return read_results(folder)


def test_slower_than_every_older_run_is_worse(tmp_path: Path) -> None:
    table = compare(write(tmp_path / "old", 100, 120, 140), write(tmp_path / "new", 80, 81, 90))
    assert "| messages/s | 120 | 81 | 0.68 | worse |" in table


def test_faster_is_better_and_more_of_a_cost_is_worse(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", 100), write(tmp_path / "new", 200, cpu_us=8.0)
    table = compare(old, new)
    assert "| messages/s | 100 | 200 | 2.00 | better |" in table
    assert "| CPU us | 4.0 | 8.0 | 2.00 | worse |" in table


def test_a_figure_within_the_range_of_older_runs_has_not_changed(tmp_path: Path) -> None:
    table = compare(write(tmp_path / "old", 60, 120, 140), write(tmp_path / "new", 80))
    assert table == "0 figures changed, 4 did not; 0 rows have nothing older."


def test_rows_without_a_match_are_counted(tmp_path: Path) -> None:
    new = write(tmp_path, 100)
    new[0].rows[0].condition["stored"] = 11
    assert "1 rows have nothing older" in compare(write(tmp_path, 100), new)


def test_aims_are_shown_with_what_was_measured(tmp_path: Path) -> None:
    table = summarise(write(tmp_path, 120)).splitlines()[2:]
    assert table == [
        "| ingest_growth | 10 | ours | messages/s | 120 | >= 100 | yes |",
        "| ingest_growth | 1000 | ours | CPU us | 6.0 | <= 5.0 | **no** |",
    ]


def test_growth_is_a_line_over_the_numbers(tmp_path: Path) -> None:
    results = write(tmp_path, 100)
    assert list(list_lines(results[0])) == [("ours, CPU", [(10, 4.0), (1000, 6.0)])]
    assert draw_growth(results).startswith(b"\x89PNG")


def test_a_file_without_results_is_named_in_the_error(tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text('{"rate": 1}\n')
    with pytest.raises(SystemExit, match=r"other\.jsonl, line 1: not a result"):
        read_results(file)
    with pytest.raises(SystemExit, match="nowhere cannot be read"):
        read_results(tmp_path / "nowhere")


def test_unknown_subjects_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing was measured"):
        report(tmp_path, "ingest", [], {})
    assert not [*tmp_path.iterdir()]

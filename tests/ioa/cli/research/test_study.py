"""``ioa experiment run|list|show|diff|sites`` as a person types them."""

import json
from pathlib import Path

import pytest

from tests.ioa.research.made_latents import QUICK_TOML, fill_database
from tests.support.commands import run

pytest.importorskip("matplotlib")


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'ioa.db'}"
    fill_database(url).dispose()
    return url


def write_conf(folder: Path, database: str, name: str, dropout: str) -> Path:
    conf = folder / f"{name}.toml"
    conf.write_text(
        f'name = "{name}"\ndatabase = "{database}"\ndatasets = ["all"]\nseeds = [0, 1]\n'
        f"split.folds = 2\n[settings]\n{QUICK_TOML}dropout = {dropout}\n"
    )
    return conf


def test_from_a_file_to_a_comparison_of_two_settings(tmp_path: Path, database: str) -> None:
    conf, out = write_conf(tmp_path, database, "dropout", "[0.1, 0.9]"), ("--out", tmp_path)
    ran = run("experiment", "run", conf, *out, "--jobs", "1", "--json")
    assert json.loads(ran.stdout)["trained"] == 8, ran.stderr
    again = run("experiment", "run", conf, *out)
    assert "0 trials trained now" in again.stdout, again.stderr
    (listed,) = json.loads(run("experiment", "list", *out, "--json").stdout)
    assert (listed["study"], listed["trials"], listed["done"]) == ("dropout", 8, 8)
    shown = json.loads(run("experiment", "show", "dropout", *out, "--json").stdout)
    assert [row.get("dropout") for row in shown["rows"]] == ["0.1", "0.9", None]
    assert shown["rows"][2]["head"] == "majority class"
    told = run("experiment", "diff", "dropout:1", "dropout:2", *out, "--json")
    compared = json.loads(told.stdout)
    assert compared["changed"] == [{"what": "settings.dropout", "first": "0.1", "second": "0.9"}]
    (effect,) = compared["rows"]
    assert (effect["paired"], effect["differences"]["accuracy"]["n"]) == (True, 4)
    printed = run("experiment", "diff", "dropout:1", "dropout:2", *out).stdout
    assert "settings.dropout" in printed
    assert printed.split()[-2] == "4"


def test_what_is_wrong_is_one_line(tmp_path: Path, database: str) -> None:
    out = ("--out", tmp_path)
    wrong = run("experiment", "run", write_conf(tmp_path, database, "wrong", "2"), *out)
    assert wrong.returncode == 1
    assert wrong.stderr.strip().endswith("settings.dropout: Input should be less than 1")
    missing = run("experiment", "show", "none", *out)
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)
    nowhere = run("experiment", "run", write_conf(tmp_path, "sqlite:///no.db", "a", "0"), *out)
    assert "there is no database no.db" in nowhere.stderr


def test_the_sites_of_a_dataset(tmp_path: Path, database: str) -> None:
    conf = tmp_path / "ioa.toml"
    conf.write_text(f"[server.training]\n{QUICK_TOML}")
    given = ["--database", database, "--config", conf, "--out", tmp_path, "--seeds", "2"]
    given += ["--jobs", "1"]
    told = run("experiment", "sites", "all", *given, "--noise", "north=30", "--json")
    report = json.loads(told.stdout)
    assert {site["site"] for site in report["sites"]} == {"east", "north", "west"}
    assert report["game"]["noise"] == {"north": 0.3}
    assert report["trained"] == 2 * 8
    total = sum(site["shapley"]["mean"] for site in report["sites"])
    assert total == pytest.approx(sum(report["everyone"]) / 2 - sum(report["nobody"]) / 2)
    again = run("experiment", "sites", "all", *given, "--noise", "north=30")
    assert "0 sets of sites trained now" in again.stdout, again.stderr
    wrong = run("experiment", "sites", "all", *given, "--noise", "north")
    assert (wrong.returncode, "no SITE=PERCENT" in wrong.stderr) == (2, True)
    twice = run("experiment", "sites", "all", *given, "--noise", "north=1", "--noise", "north=2")
    assert (twice.returncode, "names a site twice" in twice.stderr) == (2, True)

"""``onelot dispatch simulate`` as its user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cloud.dispatching.command.main import app
from cloud.dispatching.simulation.factory import CABINETS

ROOT = Path(__file__).parents[4]
NAMES = ["fifo", "edd", "atc", "atcs"]
RULES = [part for name in NAMES for part in ("--policy", name)]


def simulate(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, words)], env={"COLUMNS": "200"})


def test_a_table_with_a_row_for_each_policy() -> None:
    result = simulate("--weeks", "1", "--seeds", "2", *RULES, "--processes", "1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Steel cabinets: 2 seeds of 1 week, means"
    assert [line.split()[0] for line in lines[2:6]] == NAMES
    assert "8/8" in result.stderr


def test_processes_change_nothing_but_the_time() -> None:
    words = ("--weeks", "1", "--seeds", "2", *RULES, "--json")
    one, two = (json.loads(simulate(*words, "--processes", n).stdout) for n in ("1", "2"))
    assert one["runs"] == two["runs"]
    assert {run["seed"] for run in one["runs"]} == {1, 2}
    assert one["policies"]["edd"]["weighted_tardiness_hours"] == pytest.approx(
        sum(r["weighted_tardiness_hours"] for r in one["runs"] if r["policy"] == "edd") / 2
    )
    assert one["best_rule"] is None, "the dispatcher was not run"


def test_a_shop_of_ones_own_in_json(tmp_path: Path) -> None:
    shop = {
        "title": "Two saws",
        "orders_per_day": 12,
        "stations": {"saw-1": {"kind": "saw"}, "saw-2": {"kind": "saw"}},
        "products": {
            "beam": {"share": 1, "least": 1, "most": 3, "steps": [{"kind": "saw", "seconds_per_piece": 3000}]}
        },
        "customers": {"all": {"share": 1, "soonest": 0.1, "latest": 2}},
    }
    file = tmp_path / "saws.json"
    file.write_text(json.dumps(shop))
    result = simulate(file, "--weeks", "1", "--seeds", "1", "--policy", "edd", "--policy", "onelot", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["shop"] == "Two saws"
    assert said["best_rule"] == "edd"
    edd, onelot = (said["policies"][n]["weighted_tardiness_hours"] for n in ("edd", "onelot"))
    assert said["less_tardiness_percent"] == pytest.approx(100 * (1 - onelot / edd), abs=0.1)
    assert 0 <= said["policies"]["onelot"]["moved_share"] <= 1


def test_without_chance_the_shop_does_better() -> None:
    words = ("--weeks", "1", "--seeds", "1", "--policy", "edd", "--json", "--processes", "1")
    hard = json.loads(simulate(*words).stdout)["policies"]["edd"]
    calm = json.loads(simulate(*words, "--spread", "0", "--missing", "0", "--no-breakdowns").stdout)
    assert calm["policies"]["edd"]["flow_working_hours"] < hard["flow_working_hours"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: brake, up", "kind: break, up", '"brake" is not one of'),
        ("share: 65", "share: 0", "share"),
        ("most: 8", "most: 800", "a shift has 57600 s"),
        ("setup: [colour]}", "setup: [color]}", "did you mean colour?"),
        ("closes: 22", "closes: 5", "must be after opens (6)"),
        ("latest: 4", "latest: 1", "before soonest (2)"),
        ("orders_per_day", "orders_per_dya", "did you mean orders_per_day?"),
    ],
)
def test_a_shop_that_makes_no_sense_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = CABINETS.read_text("utf-8")
    assert old in text
    file = tmp_path / "shop.yaml"
    file.write_text(text.replace(old, new, 1), "utf-8")
    result = simulate(file)
    assert result.exit_code == 2
    assert said in result.output
    assert f"{file}:" in result.output


def test_an_unknown_policy_is_named() -> None:
    result = simulate("--policy", "fife")
    assert result.exit_code == 2
    assert "did you mean fifo?" in result.output


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_shows_what_was_run() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "onelot", "dispatch", "simulate", "--seeds", "500", "--policy", "fifo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("1/500")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out.splitlines()[2].startswith("fifo")
    assert "Traceback" not in err

"""``onelot dispatch`` as its user types it: files in, plans and exit codes out, no server."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cloud.dispatching.command.instance_bench import BestKnown, measure
from cloud.dispatching.command.main import app
from cloud.dispatching.files.documents import PlanFile, plan_text, read_plan, schema_text
from cloud.dispatching.files.formats import read_problem
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct

ROOT = Path(__file__).parents[4]
JSP = "2 2\n0 3 1 2\n1 4 0 1\n"
"""Best makespan 6, by hand: machine 0 does 3, machine 1 does 4 and then 2."""
FJSP = "2 2\n2 2 0 3 1 5 1 1 2\n1 1 0 4\n"
"""Best makespan 7, by hand: machine 0 must do 4 and either 3 before it, or leave 5 to machine 1."""
SDST = "2 1 1\n1 1 1 3\n1 1 1 4\n\n0 5\n2 0\n"
"""Best makespan 9, by hand: the second job first, a set-up of 2, then the first."""


def dispatch(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"one.txt": JSP, "deep/two.txt": FJSP, "deep/three.fjs": SDST}.items():
        (tmp_path / "shops" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shops" / name).write_text(text)
    return tmp_path / "shops"


def test_solve_writes_a_plan_that_validate_accepts(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    result = dispatch("solve", folder / "one.txt", "--seconds", "20", "--out", out)
    assert result.exit_code == 0, result.output
    assert "optimal  makespan 6  bound 6  gap 0.0 %" in result.stdout
    assert violations(read_problem(folder / "one.txt").problem, read_plan(out).schedule) == []
    checked = dispatch("validate", folder / "one.txt", out)
    assert (checked.exit_code, "valid, makespan 6" in checked.stdout) == (0, True)


@pytest.mark.parametrize(("name", "makespan"), [("deep/two.txt", 7), ("deep/three.fjs", 9)])
def test_solve_says_json_for_other_programs(folder: Path, name: str, makespan: int) -> None:
    said = json.loads(dispatch("solve", folder / name, "--deterministic", "--seconds", "5", "--json").stdout)
    assert (said["status"], said["objective"]["makespan"], said["bound"]) == ("optimal", makespan, makespan)
    assert said["gap_percent"] == 0
    assert 0 < said["first_solution_seconds"] <= said["seconds"]


def test_a_plan_as_csv(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    assert dispatch("solve", folder / "one.txt", "--seconds", "0", "--out", out).exit_code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["operation"] for row in rows) == ["J1.1", "J1.2", "J2.1", "J2.2"]
    refused = dispatch("solve", folder / "one.txt", "--seconds", "0", "--out", tmp_path / "plan.xlsx")
    assert (refused.exit_code, '".xlsx" is not one of .json, .csv' in refused.stderr) == (2, True)


def test_validate_lists_every_broken_rule(folder: Path, tmp_path: Path) -> None:
    problem = read_problem(folder / "one.txt").problem
    text = plan_text(PlanFile(schedule=construct(problem)))
    raw = json.loads(text)
    raw["schedule"]["assignments"]["J1.1"]["machine"] = "M1"
    raw["schedule"]["assignments"]["J2.2"]["end"] += 1
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(raw))
    result = dispatch("validate", folder / "one.txt", plan)
    assert result.exit_code == 1
    assert "J1.1 cannot run on M1" in result.stdout
    assert "J2.2 takes 1 s on M0, planned 2 s" in result.stdout
    said = json.loads(dispatch("validate", folder / "one.txt", plan, "--json").stdout)
    assert said["valid"] is False
    assert "J1.1 cannot run on M1" in said["violations"]


def test_files_that_cannot_be_used_are_named_with_their_place(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("2 2\n0 3 1 x\n1 4 0 1\n")
    commands: list[list[str | Path]] = [["solve", bad], ["validate", bad, bad], ["convert", bad]]
    for words in commands:
        result = dispatch(*words)
        assert result.exit_code == 2
        assert f'{bad}:2:7  the time on machine 1: "x" is not a whole number' in result.stderr
    unplannable = tmp_path / "cycle.json"
    dispatch("convert", folder / "one.txt", "--out", unplannable)
    raw = json.loads(unplannable.read_text())
    raw["problem"]["operations"][0]["predecessors"] = ["J1.2"]
    unplannable.write_text(json.dumps(raw))
    result = dispatch("solve", unplannable)
    assert (result.exit_code, "waits for itself: J1.1 after J1.2" in result.stderr) == (2, True)


FIELDS = [
    "instance", "makespan", "bound", "status", "best_known", "gap_percent", "seconds",
    "first_solution_seconds",
]  # fmt: skip


def test_bench_plans_a_folder_and_compares(folder: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.csv"
    best.write_text("file,best_ub\nshops/one.txt,5\ndeep/two.txt,7\nthree.fjs,\n")
    result = dispatch("bench", folder, "--seconds", "20", "--best", best, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [list(row) for row in rows] == [FIELDS] * 3
    assert [(row["instance"], row["makespan"], row["best_known"], row["gap_percent"]) for row in rows] == [
        ("deep/three", 9, None, None),
        ("deep/two", 7, 7, 0.0),
        ("one", 6, 5, 20.0),
    ]
    assert {row["status"] for row in rows} == {"optimal"}
    assert all(row["bound"] == row["makespan"] for row in rows)
    assert all(0 < row["first_solution_seconds"] <= row["seconds"] for row in rows)


def test_bench_draws_a_table_and_goes_on_after_a_broken_file(folder: Path) -> None:
    (folder / "broken.txt").write_text("2 2\n0 3\n")
    result = dispatch("bench", folder, "--seconds", "0")
    assert result.exit_code == 1
    assert "broken.txt:2:4  2 lines of jobs are announced, 1 are here" in result.stderr
    head = " ".join(result.stdout.splitlines()[0].split())
    assert head == "instance makespan bound status best known gap % seconds first plan s"
    assert "3 instances, 0 proved optimal" in result.stdout


def test_a_folder_without_instances_is_refused(tmp_path: Path) -> None:
    result = dispatch("bench", tmp_path)
    assert (result.exit_code, "no instances here (.txt, .fjs" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("a,b\n1,2\n", "needed: one of instance, file"),
        ("file,best_ub\nx,many\n", 'best.csv:2:1  best_ub: "many"'),
    ],
)
def test_a_table_of_best_known_that_is_none_is_refused(folder: Path, table: str, words: str) -> None:
    best = folder.parent / "best.csv"
    best.write_text(table)
    result = dispatch("bench", folder, "--best", best)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_a_name_that_stands_for_two_values_matches_by_its_folder_only() -> None:
    known = BestKnown()
    known.add([{"instance": "a/x", "best_known": "5"}, {"instance": "b/x.txt", "best_known": "6"}], "t")
    assert known.of(Path("any/b/x.txt")) == 6
    assert known.of(Path("c/x.txt")) is None


def test_a_measured_limit_counts_reading(folder: Path) -> None:
    times = iter([0.0, 7.0, 7.1, 7.2])
    found = measure("x", lambda: read_problem(folder / "one.txt"), 5, clock=lambda: next(times))
    # Reading took longer than the limit: the constructed plan is all there is time for.
    assert (found.row.status, found.row.seconds, found.row.first_solution_seconds) == (
        "constructed",
        7.2,
        7.1,
    )


def test_convert_and_schema(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "one.json"
    assert dispatch("convert", folder / "one.txt", "--out", out).exit_code == 0
    assert dispatch("convert", out, "--to", "jsp").stdout == JSP
    assert dispatch("schema", "plan").stdout == schema_text("plan")
    refused = dispatch("convert", folder / "deep/two.txt", "--to", "jsp")
    assert (refused.exit_code, "J1.1 has a choice of 2 machines" in refused.stderr) == (2, True)
    assert "did you mean plan?" in dispatch("schema", "plam").stderr


@pytest.mark.system
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a process group")
def test_ctrl_c_keeps_the_best_plan(tmp_path: Path) -> None:
    rows = [" ".join(f"{(j * 7 + s * (j % 5 + 1)) % 12} {(j * 13 + s * 29) % 90 + 5}" for s in range(12))
            for j in range(30)]  # fmt: skip
    shop = tmp_path / "shop.txt"
    shop.write_text("30 12\n" + "\n".join(rows) + "\n")
    out = tmp_path / "plan.json"
    words = ["solve", str(shop), "--out", str(out), "--format", "jsp", "--seconds", "120", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "onelot", "dispatch", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (children.exists() and children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.05)  # until the solver process is there
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout)["objective"]["makespan"] > 0
    assert violations(read_problem(shop).problem, read_plan(out).schedule) == []

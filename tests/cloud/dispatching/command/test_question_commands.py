"""``onelot dispatch whatif|promise|risk`` as their user types them: files in, sentences out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import json as msgspec_json
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from cloud.dispatching.command.main import app
from cloud.dispatching.files.documents import (
    OrderFile,
    PlanFile,
    ProblemFile,
    ScenarioFile,
    plan_text,
    problem_text,
    read_plan,
    read_problem_text,
)
from cloud.dispatching.questions.changes import MachineDown, NewOrder, OrderTerms
from cloud.dispatching.questions.scenario import Scenario
from cloud.dispatching.shop.problem import Resource
from cloud.dispatching.shop.violations import violations
from tests.cloud.dispatching.questions.plans import BASE, plan
from tests.cloud.dispatching.questions.small_shop import HOUR, small_shop, step
from tests.cloud.dispatching.questions.test_risk import hasty_shop


def dispatch(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The small shop and its plan."""
    shop = replace(small_shop(), published={}, resources=(Resource(id="welder", capacity=2),))
    problem, made = tmp_path / "shop.json", tmp_path / "plan.json"
    problem.write_text(problem_text(ProblemFile(name="small", problem=shop)))
    made.write_text(plan_text(PlanFile(name="small", schedule=plan(shop, **BASE))))
    return problem, made


def test_what_if_says_first_what_matters_most(files: tuple[Path, Path], tmp_path: Path) -> None:
    out, problem = tmp_path / "after.json", tmp_path / "then.json"
    words = ("--like", "A", "--due", "4h", "--weight", "20", "--seconds", "5")
    result = dispatch("whatif", *files, *words, "--out", out, "--out-problem", problem)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("small  3 jobs, 7 operations, 4 machines  plan: cost ")
    assert lines[2] == "What if: like A, due 4h, weight 20?"
    assert lines[4] == "Order A again ends Thu 01 Jan 03:30, 30 min before its due date."
    assert any(line.startswith("2 orders become late: ") for line in lines)
    assert "Times are UTC." in lines
    asked = read_problem_text(problem.read_text(), "then.json").problem
    assert violations(asked, read_plan(out).schedule) == []


def test_the_options_together_are_one_scenario_and_each_file_another(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    changes = (MachineDown(machine="SAW", start=0, end=HOUR), OrderTerms(order="B", due=9 * HOUR))
    file = tmp_path / "scenario.json"
    file.write_bytes(msgspec_json.encode(ScenarioFile(scenario=Scenario(title="saw down", changes=changes))))
    typed = (
        "--down",
        "LATHE1=0..4h",
        "--overtime",
        "8h..10h",
        "--split",
        "B=2",
        "--heads",
        "welder=+1@0..8h",
    )
    more = ("--cancel", "A", "--due", "B=7h", "--weight", "B=3", "--pin", "B.turn/1=LATHE2@3h")
    result = dispatch(
        "whatif", *files, *typed, *more, "--scenario", file, "--scenario", file, "--seconds", "0", "--json"
    )
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [one["title"] for one in said][1:] == ["saw down", "saw down"]
    first = {order["order"]: order for order in said[0]["orders"]}
    assert first["A"]["fate"] == "cancelled"
    assert (first["B"]["after"]["due"], first["B"]["after"]["weight"]) == (7 * HOUR, 3)
    assert first["B"]["after"]["end"] > 3 * HOUR
    for one in said:
        assert 0 <= one["first_answer_seconds"] <= one["seconds"]
        assert one["sentences"]
        assert 0 <= one["moved_share"] <= 1
    refused = dispatch("whatif", *files, *typed, "--scenario", file, "--out", tmp_path / "x.json")
    assert (refused.exit_code, "writes one plan, and 2 scenarios" in refused.stderr) == (2, True)


def test_a_rush_order_from_a_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    order = NewOrder(order="RUSH", operations=(step("RUSH.turn", "RUSH", "LATHE2"),), due=HOUR, weight=9)
    file = tmp_path / "rush.json"
    file.write_bytes(msgspec_json.encode(OrderFile(order=order)))
    result = dispatch("whatif", *files, "--rush", file, "--seconds", "0")
    assert result.exit_code == 0, result.output
    assert "Order RUSH ends Thu 01 Jan 01:00, just in time." in result.stdout
    later = dispatch("promise", *files, "--order", file, "--seconds", "0")
    assert (
        "Order RUSH can be promised for Thu 01 Jan 01:00 (1 h from now): nobody else moves." in later.stdout
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "what should change? See onelot dispatch whatif --help"),
        (("--like", "A"), "--like A: when is it due? --due 4h, for instance"),
        (("--due", "2h"), "--due 2h: of which order? --due ORDER=2h"),
        (("--due", "A=soon"), '--due A=soon: "soon" is not a duration such as 2h'),
        (("--down", "SAW=4h"), '--down SAW=4h: "4h" is not FROM..UNTIL'),
        (("--down", "0..4h"), "--down 0..4h: it is written MACHINE=FROM..UNTIL"),
        (("--down", "SAWW=0..4h"), 'there is no machine "SAWW" — did you mean SAW?'),
        (("--heads", "welder=1"), "--heads welder=1: it is written RESOURCE=+1@FROM..UNTIL"),
        (("--heads", "weldr=+1@0..1h"), 'there is no crew or tool "weldr" — did you mean welder?'),
        (("--split", "A"), "--split A: it is written JOB=2"),
        (("--split", "A=two"), '--split A=two: "two" is not a whole number'),
        (("--cancel", "C"), "order C cannot fall away: C.saw is frozen"),
        (("--pin", "A.turn=SAW"), "A.turn cannot run on SAW; it can on LATHE1, LATHE2"),
        (("--scenario", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_makes_no_sense_says_how_it_is_written(
    files: tuple[Path, Path], words: tuple[str, ...], said: str
) -> None:
    result = dispatch("whatif", *files, *words, "--seconds", "0")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_change_that_does_not_exist_is_shown_with_the_one_that_was_meant(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(
        '{"format": "onelot-scenario-1", "scenario": {"changes": [\n'
        '{"change": "cancelled_ordr", "order": "A"},\n'
        '{"change": "overtime", "start": 0, "end": 9, "until": 9}]}}'
    )
    result = dispatch("whatif", *files, "--scenario", file)
    assert result.exit_code == 2
    assert ':2:12  scenario.changes.0.change: "cancelled_ordr" is not one of' in result.stderr
    assert "did you mean cancelled_order?" in result.stderr
    assert 'scenario.changes.1: unknown key "until" — allowed: change, end' in result.stderr


def test_without_a_plan_one_is_made_and_a_broken_one_is_refused(files: tuple[Path, Path]) -> None:
    result = dispatch("whatif", files[0], "--cancel", "A", "--seconds", "0")
    assert (result.exit_code, "Order A falls away." in result.stdout) == (0, True)
    raw = json.loads(files[1].read_text())
    raw["schedule"]["assignments"]["A.saw"]["start"] = 0
    files[1].write_text(json.dumps(raw))
    for command in (("whatif", "--cancel", "A"), ("promise", "--like", "A"), ("risk",)):
        refused = dispatch(command[0], *files, *command[1:])
        assert (refused.exit_code, "breaks rules of" in refused.stderr) == (1, True)


def test_a_promise_with_its_price(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "promised.json"
    words = ("--like", "A", "--by", "4h", "--by", "1h", "--seconds", "4", "--weight", "50")
    result = dispatch("promise", *files, *words, "--out", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "Order A again can be promised for Thu 01 Jan 06:30 (6 h 30 min from now): nobody else moves."
    )
    assert lines[1].startswith("If durations scatter by 30 %, nine of ten times it is done by Thu 01 Jan 07:")
    assert any(line.startswith("It can be done by Thu 01 Jan 04:00, and ") for line in lines)
    assert any(line.startswith("It cannot be done by Thu 01 Jan 01:00; the earliest found") for line in lines)
    promised = read_plan(out).schedule
    before = read_plan(files[1]).schedule
    assert all(promised.assignments[name].start == a.start for name, a in before.assignments.items())
    said = json.loads(dispatch("promise", *files, "--like", "A", "--seconds", "0", "--json").stdout)
    assert (said["earliest"], said["free"], said["if_by"]) == (13 * HOUR // 2, None, [])
    assert "name the order" in dispatch("promise", *files).stderr
    assert "did you mean A?" in dispatch("promise", *files, "--like", "a").stderr


def test_risk_names_what_binds_the_orders_that_may_be_late(files: tuple[Path, Path]) -> None:
    result = dispatch("risk", *files, "--fails", "all=8h/30min")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("0 of 2 orders with a due date keep it nine times out of ten; ")
    assert "What binds order B, from its end back:" in result.stdout
    assert "C.saw is fixed on SAW" in result.stdout
    calm = dispatch("risk", *files, "--spread", "0", "--order", "C", "--json")
    said = json.loads(calm.stdout)
    assert said["on_time"] == 1.0
    assert {order["order"]: order["p90"] for order in said["orders"]}["A"] == 7 * HOUR // 2
    assert [link["text"] for link in said["chains"]["C"]] == ["C.saw is fixed on SAW"]
    refused = dispatch("risk", *files, "--fails", "SAWW=2h/1h", "--fails", "SAW=2h")
    assert 'there is no machine "SAWW" — did you mean SAW?' in refused.stderr
    assert "it is written MACHINE=BETWEEN/REPAIR" in refused.stderr
    assert "did you mean" in dispatch("risk", *files, "--order", "b").stderr
    wide = dispatch("risk", *files, "--spread", "2", "--shape", "triangular")
    assert (wide.exit_code, "spread 2 is not between 0 and 1" in wide.stderr) == (2, True)


def test_what_if_tells_the_cost_in_money(files: tuple[Path, Path]) -> None:
    problem = files[0]
    text = json.loads(problem.read_text())
    for machine in text["problem"]["machines"]:
        machine["cost_per_hour"] = 47.30 if machine["id"] == "SAW" else "38.25"
    text["problem"]["costs"] = {"currency": "EUR", "late_per_hour": "12.5"}
    problem.write_text(json.dumps(text))
    words = ("--like", "A", "--due", "4h", "--weight", "20", "--seconds", "1")
    lines = dispatch("whatif", *files, *words).stdout.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("cost in EUR"))
    assert lines[head].split() == ["cost", "in", "EUR", "planned", "then", "difference"]
    # Three steps of an hour are new: 47.30 + 2 × 38.25.
    assert lines[head + 1].split()[0] == "working"
    assert lines[head + 1].split()[-1] == "+123.80"
    assert any(line.startswith("It costs ") and line.endswith(".") for line in lines)
    told = json.loads(dispatch("whatif", *files, *words, "--json").stdout)[0]
    assert told["before"]["money"]["working"] == "318.55"
    assert told["lacks"] == []


def test_a_rate_that_is_none_is_refused_before_anything_is_planned(files: tuple[Path, Path]) -> None:
    problem = files[0]
    text = json.loads(problem.read_text())
    text["problem"]["costs"] = {"currency": "Euro"}
    problem.write_text(json.dumps(text))
    result = dispatch("whatif", *files, "--cancel", "A")
    assert result.exit_code == 2
    assert "currency 'Euro' is not a code of ISO 4217, such as EUR" in result.stderr


def test_risk_tells_which_longest_wait_is_not_kept(tmp_path: Path) -> None:
    problem, schedule = hasty_shop()
    files = tmp_path / "hasty.json", tmp_path / "hasty-plan.json"
    files[0].write_text(problem_text(ProblemFile(name="hasty", problem=problem)))
    files[1].write_text(plan_text(PlanFile(name="hasty", schedule=schedule)))
    result = dispatch("risk", *files, "--spread", "0.5", "--shape", "triangular")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("longest wait"))
    assert lines[head + 1].split()[3:5] == ["30", "min"]
    assert lines[head + 2] == "Of 1 longest wait 0 are kept in every sample."
    told = json.loads(dispatch("risk", *files, "--spread", "0.5", "--json").stdout)
    assert 0.05 < told["lags"][0]["broken"] < 0.5
    calm = dispatch("risk", *files, "--spread", "0").stdout.splitlines()
    assert "1 longest wait, kept in every sample." in calm

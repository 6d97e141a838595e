"""``onelot quality``: what a person with a CSV file reads, and what is wrong with a file, with its place."""

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from cloud.quality.command.main import app

JETS = "78.4 80.1 84.4 79.1 80.4 83.5 73.8 83.5 75.0 76.8 70.5 80.3 82.4 79.4 86.4 90.5 77.7 82.5 79.9 83.2"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def jets(tmp_path: Path) -> Path:
    file = tmp_path / "jets.csv"
    file.write_text("diameter\n" + "\n".join(JETS.split()) + "\n", "utf-8")
    return file


def test_limits_and_capability_of_a_file(jets: Path) -> None:
    answer = run("chart", jets, "--lower", "60", "--upper", "100")
    assert answer.exit_code == 0, answer.output
    assert "centre 80.39   limits 66.22903 to 94.55097" in answer.output
    assert "signals  none" in answer.output
    assert "a false alarm every 159 points" in answer.output
    assert "Cpk  1.385 (0.805 to 1.965)" in answer.output


def test_json_has_every_field_of_every_point(jets: Path) -> None:
    answer = json.loads(run("chart", jets, "--json").output)
    assert answer["limits"]["sigma"] == pytest.approx(4.720325, abs=1e-6)
    assert answer["limits"]["provisional"] is True
    assert len(answer["points"]) == 20
    assert {"number", "plotted", "second", "upper", "phase", "signals"} <= answer["points"][0].keys()
    assert answer["signals"] == []
    assert answer["capability"] is None


def test_the_first_points_may_be_the_baseline_of_the_others(tmp_path: Path) -> None:
    rng = random.Random(5)
    file = tmp_path / "drift.csv"
    values = [f"{rng.gauss(10, 1) + (1.3 if n > 40 else 0):.3f}" for n in range(60)]
    file.write_text("\n".join(values), "utf-8")  # no header
    answer = run("chart", file, "--baseline", "25", "--check")
    assert answer.exit_code == 1
    assert "(from the first 25 points)" in answer.output
    assert "points 50 to 60  9 in a row on one side of the centre" in answer.output
    few = run("chart", file, "--baseline", "12")
    assert "PROVISIONAL, fewer than 20" in few.output
    assert run("chart", file, "--baseline", "4").exit_code == 2


def test_the_picture_says_by_shape_and_word_what_signals(tmp_path: Path) -> None:
    file = tmp_path / "turned.csv"
    rows = [f"8:{n:02},{10 + (n % 3) * 0.1}" for n in range(24)]
    file.write_text("time,x\n" + "\n".join([*rows, "8:24,12.5"]), "utf-8")
    picture = tmp_path / "turned.svg"
    answer = run("chart", file, "--upper", "12", "--output", picture)
    assert answer.exit_code == 0
    tree = ElementTree.fromstring(picture.read_text("utf-8"))  # noqa: S314 - our own file
    text = " ".join("".join(each.itertext()) for each in tree.iter() if each.tag.endswith("text"))
    assert "25 (8:24): above the tolerance; beyond 3 sigma" in text
    assert "provisional limits" in text
    shapes = [each for each in tree.iter() if each.get("class") == "signal"]
    assert {shape.tag.rpartition("}")[2] for shape in shapes} == {"rect", "path"}


def test_short_runs_from_columns(tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    rows = [("A", 17.4, v) for v in (17.408, 17.387, 17.402, 17.395)]
    rows += [("B", 12.7, v) for v in (12.706, 12.699, 12.712)]
    file.write_text("part;nominal;x\n" + "\n".join(f"{p};{n};{v}" for p, n, v in rows), "utf-8")
    answer = json.loads(run("chart", file, "--kind", "dnom", "--json").output)
    wanted = [0.008, -0.013, 0.002, -0.005, 0.006, -0.001, 0.012]
    assert [point["plotted"] for point in answer["points"]] == pytest.approx(wanted)
    missing = run("chart", file, "--kind", "z-mr")
    assert missing.exit_code == 2
    assert "mixed.csv:2:1  a sample of z-mr needs sigma" in missing.output


def test_subgroups_across_columns_or_down_one(tmp_path: Path) -> None:
    wide, tall = tmp_path / "wide.csv", tmp_path / "tall.csv"
    rows = [(10, 12), (11, 13), (9, 11), (12, 14), (10, 12)]
    wide.write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rows), "utf-8")
    tall.write_text("x\n" + "\n".join(f"{a}\n{b}" for a, b in rows), "utf-8")
    one = json.loads(run("chart", wide, "--kind", "xbar-r", "--json").output)
    two = json.loads(run("chart", tall, "--kind", "xbar-r", "--size", "2", "--json").output)
    assert one == two
    assert one["limits"]["center"] == pytest.approx(11.4)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("x\n1\n2,5\nabc\n", [], 'm.csv:4:1  x: "abc" is not a finite number'),
        ("a,b\n1,2\n", [], "there are 2 columns (a, b): choose with --column"),
        ("a,b\n1,2\n", ["--column", "aa"], 'no column "aa", there are a, b — did you mean a?'),
        ("x\nnan\n", [], '"nan" is not a finite number'),
        ("x\n", [], "no measurements in this file"),
        ("x\n1\n2\n3\n", [], "3 points are too few for limits (5 at least)"),
        ("x\n1\n2\n3\n4\n5\n", ["--kind", "p"], "p needs the units inspected: give --size"),
        ("x\n1\n2\n3\n4\n51\n", ["--kind", "p", "--size", "50"], "m.csv:6:1  a sample of p: 51 of 50"),
        ("x\n1\n", ["--kind", "xbar-s"], "xbar-s needs subgroups"),
        ("x\n1\n2\n3\n4\n5\n", ["--rules", "nelson-9"], '"nelson-9" is not one of nelson-1'),
        ("x\n1\n2\n3\n4\n5\n", ["--output", "c.png"], '".png" is not .svg'),
        ("x\n1\n2\n3\n4\n5\n", ["--sigma", "0"], "--sigma 0 must be greater than 0"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, text: str, options: list[str], words: str) -> None:
    file = tmp_path / "m.csv"
    file.write_text(text, "utf-8")
    answer = run("chart", file, *options)
    assert answer.exit_code == 2
    assert words in answer.output


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    answer = run("chart", tmp_path / "none.csv")
    assert answer.exit_code == 2
    assert "cannot be read: No such file" in answer.output


def test_constant_values_have_no_capability(tmp_path: Path) -> None:
    file = tmp_path / "flat.csv"
    file.write_text("x\n" + "5\n" * 30, "utf-8")
    answer = run("chart", file, "--upper", "6")
    assert answer.exit_code == 0
    assert "capability  none: 30 values that are all 5 have no capability" in answer.output


def test_dependent_values_are_pointed_out(tmp_path: Path) -> None:
    value, rng, rows = 0.0, random.Random(4), []
    for _ in range(80):
        value = 0.8 * value + rng.gauss(0, 1)
        rows.append(f"{value:.4f}")
    file = tmp_path / "oven.csv"
    file.write_text("t\n" + "\n".join(rows), "utf-8")
    assert "not independent (lag-1 autocorrelation 0.7" in run("chart", file).output


def test_rules_and_their_cost() -> None:
    answer = run("rules")
    assert "* nelson-1  beyond 3 sigma (also we-1)" in answer.output
    assert "a false alarm every 73 points" in answer.output
    assert "every 92 points" in run("rules", "--rules", "western-electric").output


def test_a_gauge_study_from_a_file(tmp_path: Path) -> None:
    from tests.cloud.quality.test_gauge_study import MEASURED

    file = tmp_path / "gauge.csv"
    rows = [
        f"{operator},{part},{value}"
        for operator, trials in zip("ABC", MEASURED, strict=True)
        for trial in trials
        for part, value in enumerate(trial)
    ]
    file.write_text("operator,part,value\n" + "\n".join(rows), "utf-8")
    answer = run("gauge", file)
    assert answer.exit_code == 0, answer.output
    assert "26.68 % of the total variation: may be acceptable" in answer.output
    file.write_text("operator,part,value\n" + "\n".join(rows[:-1]), "utf-8")
    answer = run("gauge", file)
    assert answer.exit_code == 2
    assert "operator C measured part 9 2 times, not 3" in answer.output

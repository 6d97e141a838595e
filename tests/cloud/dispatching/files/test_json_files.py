"""Problems and plans as JSON: nothing is lost, mistakes have places, the published schema is the code's."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cloud.dispatching.files.csv_table import COLUMNS, plan_csv
from cloud.dispatching.files.documents import (
    KINDS,
    PlanFile,
    ProblemFile,
    plan_text,
    problem_text,
    read_plan_text,
    read_problem_text,
    schema_text,
)
from cloud.dispatching.files.places import line_and_column, position
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from protocols.documents import DocumentError
from tests.cloud.dispatching.random_shop import random_shop

SCHEMAS = Path(__file__).parents[4] / "docs" / "schemas"


@pytest.mark.parametrize("seed", range(8))
def test_a_problem_and_its_plan_come_back_as_they_went(seed: int) -> None:
    problem = random_shop(random.Random(seed), operations=15)
    plan = construct(problem)
    assert read_problem_text(problem_text(ProblemFile(problem=problem)), "x").problem == problem
    back = read_plan_text(plan_text(PlanFile(name="week 48", schedule=plan)), "x")
    assert (back.name, back.schedule) == ("week 48", plan)
    assert violations(problem, back.schedule) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_in_the_documents_is_the_one_of_the_code(kind: str) -> None:
    kept = (SCHEMAS / f"onelot-{kind}-1.schema.json").read_text("utf-8")
    assert kept == schema_text(kind), f"write it anew: onelot dispatch schema {kind} > docs/schemas/…"


def _problem_json() -> str:
    return problem_text(ProblemFile(problem=random_shop(random.Random(1), operations=3, runs=0)))


def test_the_first_wrong_value_is_shown_where_it_is() -> None:
    text = _problem_json()
    line = next(n for n, row in enumerate(text.splitlines(), start=1) if '"run_seconds"' in row)
    broken = text.replace('"run_seconds": ', '"run_seconds": "x', 1)
    broken = broken.replace('"x', '"x"; ', 1)
    broken = "\n".join(
        '        "run_seconds": "soon",' if n == line else row for n, row in enumerate(text.splitlines(), 1)
    )
    with pytest.raises(DocumentError) as caught:
        read_problem_text(broken, "p.json")
    said = str(caught.value)
    assert said.startswith(f"p.json:{line}:24  problem.operations.0.alternatives.0.run_seconds: ")
    assert '"soon": Expected int, got str' in said


def test_every_unknown_key_is_shown_with_the_nearest_one() -> None:
    text = _problem_json().replace('"run_seconds"', '"run_secs"', 1).replace('"origin"', '"orign"', 1)
    with pytest.raises(DocumentError) as caught:
        read_problem_text(text, "p.json")
    said = str(caught.value)
    assert 'unknown key "run_secs" — did you mean run_seconds?' in said
    assert 'unknown key "orign" — did you mean origin?' in said
    assert "missing required field" in said


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"format": "onelot-problem-1",\n "problem": }', "p.json:2:13", "not JSON"),
        ('{"format": "onelot-plan-1"}', "p.json:1:12", "onelot-plan-1"),
        ('{"format": "onelot-problem-1"', "p.json:1:30", "not JSON"),
        ("{}", "p.json:1:1", "format"),
        ("[" * 100_000, "p.json:1:1", "nested too deep"),
    ],
)
def test_what_is_no_problem_file_is_refused(text: str, place: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_problem_text(text, "p.json")
    assert str(caught.value).startswith(place)
    assert words in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def _paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], object]]:
    found = [(at, value)]
    if isinstance(value, dict):
        found += [p for key, inner in value.items() for p in _paths(inner, (*at, key))]
    if isinstance(value, list):
        found += [p for index, inner in enumerate(value) for p in _paths(inner, (*at, index))]
    return found


@given(JSON, st.sampled_from([None, 1]))
def test_a_position_is_where_the_value_begins(value: object, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    for path, inner in _paths(value):
        at = position(text, path)
        assert json.JSONDecoder().raw_decode(text, at)[0] == inner
        line, col = line_and_column(text, at)
        assert text.splitlines()[line - 1][col - 1 :] == text[at:].split("\n", 1)[0]


def test_a_plan_as_csv_has_a_row_for_each_operation_in_order_of_time() -> None:
    problem = random_shop(random.Random(5), operations=20)
    first = replace(problem.operations[0], label='=HYPERLINK("x")')
    problem = replace(problem, operations=(first, *problem.operations[1:]))
    plan = construct(problem)
    rows = list(csv.DictReader(io.StringIO(plan_csv(problem, plan), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert {row["operation"] for row in rows} == {o.id for o in problem.operations}
    starts = [int(row["start"]) for row in rows]
    assert starts == sorted(starts)
    for row in rows:
        a = plan.assignments[row["operation"]]
        assert (row["machine"], int(row["end"])) == (a.machine, a.end)
        assert row["start_utc"].endswith("Z")
    assert next(r for r in rows if r["operation"] == first.id)["label"] == '\'=HYPERLINK("x")'

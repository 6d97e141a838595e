"""Inspection plans in product files: every mistake at its place, and what an operation becomes."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from cloud.orders.products import Product
from cloud.orders.routing import configure, route
from protocols.documents import DocumentError, loads
from protocols.inspection import Verdict, due, needed
from protocols.jobs import StepKind
from protocols.spc.charts import Kind, Sample
from protocols.spc.rules import DEFAULT
from tests.cloud.orders.shop import shop_products
from tests.cloud.quality.shop import bracket

HEAD = """
id: bracket
title: Bracket
parameters:
  depth: {type: integer, title: Depth, min: 100, max: 700, default: 400}
operations:
  - id: bend
    title: Bend
    kind: brake
    seconds_per_piece: 60
"""


def mistakes(rest: str) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        loads(HEAD + rest, Product, "bracket.yaml")
    return [str(problem) for problem in refused.value.problems]


def characteristic(**fields: object) -> str:
    words = {"name": "leg", "title": "Leg", "nominal": 25, "lower": 24, "upper": 26} | fields
    inside = ", ".join(f"{key}: {value}" for key, value in words.items() if value is not None)
    return f"    inspection:\n      - {{{inside}}}\n"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chart": "imr"}, 'inspection.0.chart: "imr" is not one of i-mr, xbar-r'),
        ({"rules": "[nelson-9]"}, 'inspection.0.rules.0: "nelson-9" is not one of nelson-1'),
        ({"frequency": "often"}, '"often" does not match'),
        ({"lower": 27}, "27 is not less than upper 26"),
        ({"lower": None, "upper": None}, "a measurement needs a limit"),
        ({"nominal": None}, 'a chart of kind dnom needs "nominal"'),
        ({"chart": "z-mr"}, 'a chart of kind z-mr needs "sigma"'),
        ({"chart": "pre-control", "lower": None}, 'a chart of kind pre-control needs "lower"'),
        ({"chart": "xbar-r"}, "1: a subgroup has 2 to 25 values"),
        ({"chart": "i-mr", "size": 5}, "5: a chart of kind i-mr has single values"),
        ({"chart": "c"}, "a chart of kind c counts: it has no tolerance"),
        ({"chart": "cusum", "sigma": 2}, "target and sigma go together"),
        ({"chart": "i-mr", "nominal": "depth / 2"}, "nominal differs from variant to variant"),
        ({"nominal": "dpeth / 2"}, '"dpeth" is not one of depth — did you mean depth?'),
        ({"gage": "Caliper"}, 'unknown key "gage" — did you mean gauge?'),
        ({"on_violation": "stop"}, '"stop" is not one of note, hold'),
    ],
)
def test_what_is_wrong_with_a_plan(fields: dict[str, object], words: str) -> None:
    found = mistakes(characteristic(**fields))
    assert any(words in line for line in found), found
    assert all(line.startswith(("bracket.yaml:12:", "bracket.yaml:11:")) for line in found), found


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("{kind: measure, title: M, characteristic: log}", '"log" is not one of leg — did you mean leg?'),
        ("{kind: confirm, title: M, characteristic: leg}", "a step of kind confirm measures nothing"),
        (
            "{kind: measure, title: M, characteristic: leg, upper: 3}",
            "the inspection of leg has it already: leave it out here",
        ),
    ],
)
def test_what_is_wrong_with_a_measuring_step(step: str, words: str) -> None:
    assert any(words in line for line in mistakes(characteristic() + f"    steps:\n      - {step}\n"))


def test_a_characteristic_has_one_name_and_one_source() -> None:
    twice = characteristic(tag="load") + characteristic().partition("\n")[2]
    step = "    steps:\n      - {kind: measure, title: M, characteristic: leg}\n"
    found = mistakes(twice + step)
    assert any('"leg" is the name of two characteristics' in line for line in found)
    assert any("a step measures leg already" in line for line in found)


def test_steps_take_limits_from_the_plan_and_missing_ones_are_added() -> None:
    product = bracket()
    _, bend, *_ = route(product, configure(product, {"depth": Decimal(400)}))
    kinds = [(step.kind, step.title.en, step.lower, step.upper) for step in bend.steps]
    assert kinds == [
        (StepKind.CONFIRM, "Set the tool", None, None),
        (StepKind.MEASURE, "Measure the flange", Decimal("24.7"), Decimal("25.3")),
        (StepKind.MEASURE, "Leg", Decimal("399.5"), Decimal("400.5")),
    ]
    assert bend.steps[1].unit == "mm"
    flange, leg, force = bend.inspection
    assert (flange.steps, leg.steps, force.steps, force.tag) == ((1,), (2,), (), "load")
    assert flange.chart == "bracket/bend/flange"
    assert flange.on_violation is Verdict.HOLD
    assert leg.on_violation is Verdict.NOTE
    assert (flange.frequency, flange.gauge) == ("every 2", "Caliper 150")
    assert (flange.spec.kind, flange.spec.rules) == (Kind.I_MR, DEFAULT)
    assert leg.sample(399.8) == Sample(
        (399.8,), size=1.0, nominal=400.0, lower=399.5, upper=400.5, part="400"
    )


def test_the_plan_of_the_documents_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs/quality.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    head = "id: cabinet\ntitle: Cabinet\nparameters:\n  door_width: {type: integer, title: W, default: 596}\n"
    product = loads(head + block, Product, "docs/quality.md")
    assert [each.name for each in product.operations[0].inspection] == ["flange", "door", "force"]


def test_products_without_a_plan_mean_what_they_meant() -> None:
    for product in shop_products():
        routed = route(product, configure(product, {n: p.default for n, p in product.parameters.items()}))  # type: ignore[misc]
        for step, made in zip(product.operations, routed, strict=True):
            if not step.inspection:
                assert made.inspection == ()
                assert len(made.steps) <= len(step.steps)


def test_a_step_that_a_variant_does_not_show_is_not_in_its_plan() -> None:
    text = HEAD.replace(
        "operations:", "  lock: {type: choice, title: Lock, choices: [cam, none], default: cam}\noperations:"
    )
    text += characteristic()
    text += "    steps:\n      - {kind: measure, title: M, characteristic: leg, when: {lock: [cam]}}\n"
    product = loads(text, Product, "bracket.yaml")
    with_lock, without = (
        route(product, configure(product, {"depth": Decimal(400), "lock": lock}))[0]
        for lock in ("cam", "none")
    )
    assert [each.name for each in with_lock.inspection] == ["leg"]
    assert (without.inspection, without.steps) == ((), ())


@pytest.mark.parametrize(
    ("frequency", "quantity", "count"),
    [
        ("lot", 12, 1),
        ("first and last", 12, 2),
        ("first and last", 1, 1),
        ("every 5", 12, 3),
        ("every 5", 3, 1),
    ],
)
def test_how_many_measurements_a_lot_needs(frequency: str, quantity: int, count: int) -> None:
    assert needed(frequency, Decimal(quantity)) == count


def test_when_a_measurement_is_due() -> None:
    def moments(frequency: str, quantity: int) -> list[int]:
        """Pieces made when a measurement was due, each taken at once."""
        measured, found = 0, []
        for made in range(quantity):
            if due(frequency, Decimal(made), Decimal(quantity), measured):
                found.append(made)
                measured += 1
        return found

    assert moments("lot", 12) == [0]
    assert moments("first and last", 12) == [0, 11]
    assert moments("every 5", 12) == [0, 5, 10]

"""Product files: every mistake at its place, formulas that are no code, and what a variant becomes."""

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.orders.arithmetic import FormulaError, evaluate, fill
from cloud.orders.articles import content_hash, current, import_products, load_products, version
from cloud.orders.products import Parameter, Product
from cloud.orders.routing import configure, route
from cloud.store.database import Database
from protocols.documents import DocumentError, load, loads
from protocols.site import Site
from tests.cloud.orders.shop import NOW_US, PRODUCTS, SITE, shop_products, site_text

BAD = """
id: shelf
title: Shelf
parameters:
  width: {type: integer, title: Width, min: 100, max: 50}
  colour: {type: choice, title: Colour}
  depth: {type: decimal, title: Depth, default: 900, max: 500}
derived:
  half: widht / 2
  width: depth
  call: open(depth)
operations:
  - id: cut
    title: Cut
    kind: laser
    steps:
      - {kind: measure, title: Measure, nominal: half}
      - {title: "For {colur}", when: {width: [a]}}
  - id: cut
    title: Again
    kind: laser
    seconds_per_piece: 10
    after: [bend]
"""


def test_every_mistake_at_its_place() -> None:
    with pytest.raises(DocumentError) as refused:
        loads(BAD, Product, "shelf.yaml")
    found = {(p.line, p.path): p.message for p in refused.value.problems}
    assert found[5, "parameters.width.min"] == "100 is more than max 50"
    assert found[6, "parameters.colour"].startswith("a choice needs choices")
    assert found[7, "parameters.depth.default"].startswith("900 is outside the limits")
    assert found[9, "derived.half"].endswith("did you mean width?")
    assert "already a parameter" in found[10, "derived.width"]
    assert "may only use numbers, parameter names" in found[11, "derived.call"]
    assert found[13, "operations.0"].startswith("takes no time")
    assert "needs a limit" in found[17, "operations.0.steps.0"]
    assert found[18, "operations.0.steps.1.title"].startswith('{colur}: "colur" is not one of')
    assert "operations.0.steps.1.when.width" in {path for _, path in found}
    assert found[19, "operations.1.id"] == '"cut" is the id of two operations'
    assert found[23, "operations.1.after.0"] == '"bend" is not one of cut, cut'


def test_workcell_kinds_are_checked_against_the_site(tmp_path: Path) -> None:
    site = loads(site_text().replace("kind: coat,", "kind: paint,"), Site, "site.yaml")
    with pytest.raises(DocumentError, match="no workcell is of this kind") as refused:
        load_products(tmp_path / "site.yaml", site)
    assert {Path(p.file).name for p in refused.value.problems} == {"cabinet.yaml", "door.yaml"}


@pytest.mark.parametrize("name", ["cabinet", "door"])
def test_products_of_the_demo_are_complete_in_both_languages(name: str) -> None:
    product = load(PRODUCTS / f"{name}.yaml", Product)
    defaults = {key: p.default for key, p in product.parameters.items() if p.default is not None}
    for step in route(product, configure(product, defaults)):
        assert step.title.zh != step.title.en
        assert step.steps
        for instruction in step.steps:
            assert instruction.text.zh
            assert instruction.title.zh != instruction.title.en
            assert "{" not in instruction.text.en + instruction.text.zh
            if instruction.nominal is not None and instruction.lower is not None:
                assert instruction.lower <= instruction.nominal <= (instruction.upper or instruction.nominal)


def test_steps_depend_on_the_variant() -> None:
    product = load(PRODUCTS / "cabinet.yaml", Product)
    defaults = {key: p.default for key, p in product.parameters.items() if p.default is not None}
    for lock, expected in (("cam", ["Fit the cam lock"]), ("code", ["Fit the code lock"]), ("none", [])):
        steps = route(product, configure(product, defaults | {"lock": lock}))[4].steps
        assert [s.title.en for s in steps if "lock" in s.title.en] == expected


def test_versions_are_kept_by_content(database: Database) -> None:
    products = shop_products()
    assert database.write(lambda tx: import_products(tx, products, NOW_US)).result() == []
    changed = products[1].model_copy(update={"title": "Better door"})
    assert content_hash(changed) != content_hash(products[1])
    assert database.write(lambda tx: import_products(tx, [changed], NOW_US)).result() == ["door"]
    with database.read() as tx:
        assert {name: product.title for name, (_, product) in current(tx).items()} == {"door": "Better door"}
        old = version(tx, content_hash(products[1]))
        assert old == products[1]
        assert version(tx, "nothing") is None
    assert database.write(lambda tx: import_products(tx, products, NOW_US)).result() == ["cabinet", "door"]


@pytest.mark.parametrize(
    ("formula", "value"),
    [("width - 2 * 25", "562"), ("(width + 1) / 3", "204.333"), ("-width / 2", "-306"), ("0.1 + 0.2", "0.3")],
)
def test_arithmetic(formula: str, value: str) -> None:
    assert evaluate(formula, {"width": Decimal(612)}) == Decimal(value)


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os')",
        "width.real",
        "width ** 9",
        "[1][0]",
        "width if 1 else 2",
        "1 < 2",
        "'a' * 9",
        "True",
        "width; width",
        "",
        "x := 1",
        "lambda: 1",
        "9" * 300,
        "(" * 150 + ")" * 150,
        "f'{width}'",
        "1j",
    ],
)
def test_nothing_but_arithmetic(formula: str) -> None:
    with pytest.raises(FormulaError):
        evaluate(formula, {"width": Decimal(1)})


def test_results_that_do_not_exist() -> None:
    with pytest.raises(FormulaError, match="has no result for width = 0"):
        evaluate("1 / width", {"width": Decimal(0)})
    with pytest.raises(FormulaError, match="did you mean width"):
        evaluate("widht", {"width": Decimal(0)})
    with pytest.raises(FormulaError, match="has no result"):
        evaluate("1e300 * 1e300", {})


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    with contextlib.suppress(FormulaError):
        assert evaluate(text, {"a": Decimal(2), "b": Decimal(3)}).is_finite()


def test_templates_replace_names_and_nothing_else() -> None:
    assert fill("{a} {b}", {"a": "{b}", "b": "2"}) == "{b} 2"
    with pytest.raises(FormulaError, match="did you mean width"):
        fill("{widht}", {"width": "1"})
    with pytest.raises(FormulaError):
        fill("{a.__class__}", {"a": "1"})


@given(
    low=st.integers(-50, 50), span=st.integers(0, 100), step=st.integers(1, 9), value=st.integers(-200, 200)
)
def test_limits_and_steps(low: int, span: int, step: int, value: int) -> None:
    parameter = Parameter(
        type="integer", title="P", min=Decimal(low), max=Decimal(low + span), step=Decimal(step)
    )
    allowed = value in range(low, low + span + 1, step)
    assert (parameter.problem(Decimal(value)) is None) == allowed


def test_site_of_these_tests_can_make_all_of_it() -> None:
    kinds = {cell.kind for cell in SITE.workcells().values()}
    assert {step.kind for product in shop_products() for step in product.operations} <= kinds

"""From a product and a variant to the operations of a job, instructions rendered in both languages.

Pure: the same product, variant and quantity give the same operations for ever, so an order keeps what it
was configured with even after the product file has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from cloud.orders.arithmetic import PLACES, evaluate, fill, plain
from cloud.orders.inspection import PlannedCharacteristic
from cloud.orders.products import InstructionStep, Parameter, Product, RoutingStep, as_number
from protocols.inspection import Characteristic, Verdict
from protocols.jobs import Step, StepKind, Text
from protocols.spc.charts import COUNTED, Spec
from protocols.spc.rules import rules_of

SYMBOLS = {"MMT": "mm", "CMT": "cm", "MTR": "m", "KGM": "kg", "NU": "N·m", "BAR": "bar", "4H": "µm"}
"""How units of UN/CEFACT Rec 20 are shown inside a text; others are shown by their code."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A configured article: the chosen values as text, and every number, derived ones included."""

    words: dict[str, str]
    words_zh: dict[str, str]
    numbers: dict[str, Decimal]
    chosen: dict[str, str]


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an operation follows a predecessor, where that is more than *after its end*.

    It starts ``at_least`` and ``at_most`` so many seconds after that one's end, or, with ``pieces``, once so
    many of that one's pieces are done.
    """

    at_least: int = 0
    at_most: int | None = None
    pieces: int = 0

    def enough(self, good: Decimal) -> bool:
        """Whether so many good pieces of the predecessor let it start while that one still runs."""
        return 0 < self.pieces <= good


def link(links: Mapping[str, Any], name: str) -> Link:
    """How an operation follows predecessor ``name``, by its ``links`` as they are stored."""
    return msgspec.convert(links.get(name, {}), Link)


@dataclass(frozen=True, slots=True)
class RoutedOperation:
    """One operation of a job before it is stored. ``after`` and ``links`` have ids within the routing."""

    position: int
    step_id: str
    title: Text
    kind: str
    setup_seconds: Decimal
    seconds_per_run: Decimal
    seconds_per_piece: Decimal
    after: tuple[str, ...]
    setup: dict[str, str]
    program: str
    steps: tuple[Step, ...]
    interruptible: bool = False
    needs: dict[str, int] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    inspection: tuple[Characteristic, ...] = ()

    def run_seconds(self, quantity: Decimal) -> int:
        """Seconds that ``quantity`` takes, set-up not counted; at least one."""
        return max(1, round(self.seconds_per_run + self.seconds_per_piece * quantity))


def configure(product: Product, parameters: Mapping[str, Decimal | str]) -> Variant:
    """The variant that valid ``parameters`` (defaults already filled in) describe.

    Raises:
        FormulaError: a derived value has no result for these numbers.
    """
    chosen = {name: shown(product.parameters[name], value) for name, value in parameters.items()}
    numbers = {
        name: number
        for name, value in parameters.items()
        if product.parameters[name].type != "choice" and (number := as_number(value)) is not None
    }
    for name, formula in product.derived.items():
        numbers[name] = evaluate(formula, numbers)
    plain_numbers = {name: f"{plain(number)}" for name, number in numbers.items()}
    words, words_zh = dict(plain_numbers), dict(plain_numbers)
    for name, value in chosen.items():
        label = product.parameters[name].labels.get(value, value)
        english, _, chinese = (part.strip() for part in label.partition("|"))
        words[name], words_zh[name] = english, chinese or english
    return Variant(words, words_zh, numbers, chosen)


def shown(parameter: Parameter, value: Decimal | str) -> str:
    """A parameter's value as it is stored and shown: numbers without trailing zeros."""
    number = None if parameter.type == "choice" else as_number(value)
    return str(value) if number is None else f"{plain(number)}"


def route(product: Product, variant: Variant) -> tuple[RoutedOperation, ...]:
    """The operations that make the variant, in the order of the file."""
    return tuple(
        _operation(product, step, variant, position=10 * number)
        for number, step in enumerate(product.operations, start=1)
    )


def _operation(product: Product, step: RoutingStep, variant: Variant, *, position: int) -> RoutedOperation:
    codes = {**variant.words, **variant.chosen}  # set-ups and programs are codes, not words for people
    shown_steps = [
        instruction
        for instruction in step.steps
        if all(variant.chosen.get(name) in values for name, values in instruction.when.items())
    ]
    steps, inspection = inspected(product, step, shown_steps, variant)
    return RoutedOperation(
        position=position,
        step_id=step.id,
        title=Text(step.title, step.title_zh or step.title),
        kind=step.kind,
        setup_seconds=step.setup_seconds.quantize(PLACES),
        seconds_per_run=step.seconds_per_run.quantize(PLACES),
        seconds_per_piece=step.seconds_per_piece.quantize(PLACES),
        after=step.after,
        setup={name: fill(text, codes) for name, text in step.setup.items()},
        program=fill(step.program, codes),
        steps=tuple(_step(instruction, variant, codes) for instruction in steps),
        interruptible=step.interruptible,
        needs=dict(step.needs),
        links=_links(step),
        inspection=inspection,
    )


def inspected(
    product: Product, step: RoutingStep, steps: list[InstructionStep], variant: Variant
) -> tuple[list[InstructionStep], tuple[Characteristic, ...]]:
    """The steps of an operation with those that its inspection adds or fills in, and its plan.

    A characteristic whose step is not shown for this variant is not measured, and not in the plan.
    """
    filled, plan = list(steps), []
    for planned in step.inspection:
        named = [number for number, each in enumerate(filled) if each.characteristic == planned.name]
        if not named and not planned.tag:
            if any(each.characteristic == planned.name for each in step.steps):
                continue
            named = [len(filled)]
            added = InstructionStep(
                kind="measure", title=planned.title, title_zh=planned.title_zh, text=planned.gauge
            )
            filled.append(added)
        count = planned.chart in COUNTED
        limits = {
            "nominal": planned.nominal,
            "lower": Decimal(0) if count else planned.lower,
            "upper": Decimal(planned.size) if count and planned.size > 1 else planned.upper,
            "unit": planned.unit,
        }
        for number in named:
            filled[number] = filled[number].model_copy(update=limits)
        plan.append(_characteristic(product, step, planned, variant, tuple(named)))
    return filled, tuple(plan)


def _characteristic(
    product: Product,
    step: RoutingStep,
    planned: PlannedCharacteristic,
    variant: Variant,
    steps: tuple[int, ...],
) -> Characteristic:
    def number(value: Decimal | str | None) -> float | None:
        found = evaluate(value, variant.numbers) if isinstance(value, str) else value
        return None if found is None else float(found)

    spec = Spec(
        kind=planned.chart,
        rules=rules_of(planned.rules),
        size=planned.size,
        lower=number(planned.lower),
        upper=number(planned.upper),
        nominal=number(planned.nominal),
        target=number(planned.target),
        sigma=number(planned.sigma),
        weight=float(planned.weight),
        width=float(planned.width),
        slack=float(planned.slack),
        decision=float(planned.decision),
    )
    return Characteristic(
        name=planned.name,
        title=planned.title,
        title_zh=planned.title_zh or planned.title,
        chart=f"{product.id}/{step.id}/{planned.name}",
        spec=spec,
        unit=SYMBOLS.get(planned.unit, planned.unit),
        frequency=planned.frequency,
        gauge=planned.gauge,
        on_violation=Verdict(planned.on_violation),
        steps=steps,
        tag=planned.tag,
    )


def _links(step: RoutingStep) -> dict[str, Link]:
    waits = (step.wait.after or step.after) if step.wait is not None else ()
    found = {
        name: Link(
            at_least=step.wait.at_least if step.wait is not None and name in waits else 0,
            at_most=step.wait.at_most if step.wait is not None and name in waits else None,
            pieces=step.overlap or 0,
        )
        for name in step.after
    }
    return {name: link for name, link in found.items() if link != Link()}


def _step(step: InstructionStep, variant: Variant, codes: Mapping[str, str]) -> Step:
    def number(value: Decimal | str | None) -> Decimal | None:
        return evaluate(value, variant.numbers) if isinstance(value, str) else value

    def text(english: str, chinese: str) -> Text:
        return Text(fill(english, variant.words), fill(chinese or english, variant.words_zh))

    return Step(
        kind=StepKind(step.kind),
        title=text(step.title, step.title_zh),
        text=text(step.text, step.text_zh),
        nominal=number(step.nominal),
        lower=number(step.lower),
        upper=number(step.upper),
        unit=SYMBOLS.get(step.unit, step.unit),
        expected=fill(step.expected, codes),
    )

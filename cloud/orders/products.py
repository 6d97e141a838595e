"""The product file: a family of articles, its parameters and the routing that makes any variant of it.

Written by people (``firmware_configs/sites/<site>/products/<product>.yaml``) and imported by content hash:
an order keeps the version it was configured with. Texts may contain ``{name}`` of a parameter or of a
``derived`` value; numbers of a measurement may be formulas over them (see ``arithmetic``).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from cloud.orders.arithmetic import FormulaError, names_in_formula, names_in_text
from cloud.orders.inspection import PlannedCharacteristic, inspection_findings
from cloud.phrase import Phrase, one_of, phrase
from protocols.documents import Finding, Findings, Location, not_one_of
from protocols.site import Name, Needed

ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Line = Annotated[str, StringConstraints(max_length=120)]
Words = Annotated[str, StringConstraints(max_length=1000)]
Formula = Annotated[str, StringConstraints(max_length=200)]
Measure = Decimal | Formula
"""A number, or a formula that gives one."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parameter(_Part):
    """What a customer chooses: a number within limits or one of several words."""

    type: Literal["integer", "decimal", "choice"]
    title: Line
    title_zh: Line = ""
    unit: Annotated[str, StringConstraints(max_length=8)] = Field("", description="Rec 20, e.g. MMT = mm")
    min: Decimal | None = None
    max: Decimal | None = None
    step: Annotated[Decimal, Field(gt=0)] | None = None
    choices: tuple[Line, ...] = ()
    labels: dict[str, str] = Field(
        default_factory=dict, description='how a choice is shown: "English | Chinese"'
    )
    default: Decimal | str | None = None

    def problem(self, value: Decimal | str) -> Phrase | None:
        """What is wrong with a value, naming what is allowed; None when it may be ordered."""
        if self.type == "choice":
            return None if str(value) in self.choices else one_of(str(value), self.choices)
        number = as_number(value)
        if number is None:
            return phrase(
                '"{value}" is not a number: allowed is {allowed}', value=value, allowed=self.allowed()
            )
        if self.type == "integer" and number != number.to_integral_value():
            return phrase(
                "{value} is not a whole number: allowed is {allowed}", value=value, allowed=self.allowed()
            )
        if (self.min is not None and number < self.min) or (self.max is not None and number > self.max):
            return phrase(
                "{value} is outside the limits: allowed is {allowed}", value=value, allowed=self.allowed()
            )
        if self.step is not None and (number - (self.min or Decimal(0))) % self.step:
            return phrase(
                "{value} does not fit the step: allowed is {allowed}", value=value, allowed=self.allowed()
            )
        return None

    def allowed(self) -> Phrase | str:
        """The allowed values in words, e.g. ``300 to 1200 in steps of 5 MMT``."""
        if self.type == "choice":
            return ", ".join(self.choices)
        unit = f" {self.unit}" if self.unit else ""
        span = self._span()
        if self.step is not None:
            return phrase("{span} in steps of {step}{unit}", span=span, step=self.step, unit=unit)
        return phrase("{span}{unit}", span=span, unit=unit)

    def _span(self) -> Phrase:
        if self.min is not None and self.max is not None:
            return phrase("{least} to {most}", least=self.min, most=self.max)
        if self.min is not None:
            return phrase("at least {least}", least=self.min)
        return phrase("any number") if self.max is None else phrase("at most {most}", most=self.max)


def as_number(value: Decimal | str) -> Decimal | None:
    """The finite decimal that a value is or spells; None when it is none."""
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    return number if number.is_finite() and abs(number) < 10**9 else None


class InstructionStep(_Part):
    """One step on the terminal. A ``scan`` without ``expected`` records a material lot."""

    kind: Literal["info", "confirm", "measure", "scan"] = "info"
    title: Line
    title_zh: Line = ""
    text: Words = ""
    text_zh: Words = ""
    nominal: Measure | None = None
    lower: Measure | None = None
    upper: Measure | None = None
    unit: Annotated[str, StringConstraints(max_length=8)] = ""
    expected: Line = ""
    characteristic: str = Field(
        "", description="of the operation's inspection: limits and unit of the measurement come from there"
    )
    when: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="shown only for these values of a choice, e.g. lock: [cam, code]"
    )


WaitSeconds = Annotated[int, Field(ge=0, le=8_640_000)]


class Wait(_Part):
    """Time between the steps before and this one: paint must dry, welding follows within half an hour."""

    at_least: WaitSeconds = 0
    at_most: WaitSeconds | None = None
    after: tuple[Name, ...] = Field(
        default=(), description="which of the steps before; left out: all of them"
    )


class RoutingStep(_Part):
    """One operation of the routing: what kind of workcell does it and how long it takes there."""

    id: Name
    title: Line
    title_zh: Line = ""
    kind: Name = Field(description="workcell kind, as in site.yaml")
    setup_seconds: Annotated[Decimal, Field(ge=0, le=864_000)] = Decimal(0)
    seconds_per_run: Annotated[
        Decimal,
        Field(ge=0, le=864_000, description="once per run, however many it covers (oven)"),
    ] = Decimal(0)
    seconds_per_piece: Annotated[Decimal, Field(ge=0, le=864_000)] = Decimal(0)
    after: tuple[Name, ...] = ()
    wait: Wait | None = Field(default=None, description="seconds between the steps before and this one")
    overlap: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="may start once so many pieces of the steps before are done"
    )
    interruptible: bool = Field(
        default=False, description="may rest over breaks and nights, instead of having to end before them"
    )
    needs: dict[Name, Needed] = Field(
        default_factory=dict,
        max_length=20,
        description="tools and heads of site.yaml; of one that its workcell needs, too, this number",
    )
    setup: dict[str, Line] = Field(
        default_factory=dict, description="setup attributes that decide about changeovers"
    )
    program: Line = ""
    steps: tuple[InstructionStep, ...] = Field(default=(), max_length=60)
    inspection: tuple[PlannedCharacteristic, ...] = Field(
        default=(), max_length=30, description="what is measured of it, how often, and how it is charted"
    )


class Product(_Part):
    """A family of articles; the root of a product file."""

    id: Name
    title: Line
    title_zh: Line = ""
    unit: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,3}$")] = "C62"
    parameters: dict[ParameterName, Parameter] = Field(default_factory=dict, max_length=50)
    derived: dict[ParameterName, Formula] = Field(default_factory=dict, max_length=100)
    operations: Annotated[tuple[RoutingStep, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _consistent(self) -> Product:
        findings = [
            *_parameter_findings(self),
            *_derived_findings(self),
            *_routing_findings(self),
            *_template_findings(self),
        ]
        if findings:
            raise Findings(findings)
        return self

    def numbers(self) -> set[str]:
        """Names of parameters that are numbers."""
        return {name for name, parameter in self.parameters.items() if parameter.type != "choice"}


def _parameter_findings(product: Product) -> Iterator[Finding]:
    for name, parameter in product.parameters.items():
        at: Location = ("parameters", name)
        if parameter.type == "choice" and not parameter.choices:
            yield Finding(at, "a choice needs choices: list them")
        if parameter.type != "choice" and parameter.choices:
            yield Finding((*at, "choices"), f"{parameter.type} has min and max, choices belong to a choice")
        low, high = parameter.min, parameter.max
        if low is not None and high is not None and low > high:
            yield Finding((*at, "min"), f"{low} is more than max {high}")
        for label in parameter.labels:
            if label not in parameter.choices:
                yield Finding((*at, "labels", label), not_one_of(label, parameter.choices))
        if parameter.default is not None and (problem := parameter.problem(parameter.default)):
            yield Finding((*at, "default"), str(problem))
        if name in product.derived:
            yield Finding(("derived", name), f"{name} is already a parameter: choose another name")


def _derived_findings(product: Product) -> Iterator[Finding]:
    """A derived value may use numbers and derived values declared before it."""
    known = product.numbers()
    for name, formula in product.derived.items():
        yield from _formula_findings(("derived", name), formula, known)
        known = known | {name}


def _formula_findings(at: Location, formula: object, known: set[str]) -> Iterator[Finding]:
    if not isinstance(formula, str):
        return
    try:
        unknown = sorted(names_in_formula(formula) - known)
    except FormulaError as error:
        yield Finding(at, str(error))
        return
    for name in unknown:
        yield Finding(at, not_one_of(name, sorted(known)))


def _routing_findings(product: Product) -> Iterator[Finding]:
    ids = [step.id for step in product.operations]
    earlier: set[str] = set()
    for index, step in enumerate(product.operations):
        at: Location = ("operations", index)
        if step.id in earlier:
            yield Finding((*at, "id"), f'"{step.id}" is the id of two operations')
        for number, name in enumerate(step.after):
            if name in step.after[:number]:
                yield Finding((*at, "after", number), f'"{name}" is named twice')
            if name not in ids:
                yield Finding((*at, "after", number), not_one_of(name, ids))
            elif name not in earlier:
                # Refusing forward references keeps the file readable top to bottom and rules out cycles.
                yield Finding((*at, "after", number), f'"{name}" must stand above the operation after it')
        if not step.seconds_per_piece and not step.seconds_per_run:
            yield Finding(at, "takes no time: give seconds_per_piece, seconds_per_run or both")
        yield from _following_findings(at, step, product)
        earlier.add(step.id)


def _following_findings(at: Location, step: RoutingStep, product: Product) -> Iterator[Finding]:
    """How a step may follow the ones before it."""
    wait, first = step.wait, not step.after
    if first and wait is not None:
        yield Finding((*at, "wait"), "there is no step before it: say after which it comes")
    if first and step.overlap is not None:
        yield Finding((*at, "overlap"), "there is no step before it: say after which it comes")
    if wait is not None:
        if wait.at_most is not None and wait.at_most < wait.at_least:
            yield Finding((*at, "wait", "at_most"), f"{wait.at_most} is less than at_least {wait.at_least}")
        for number, name in enumerate(wait.after):
            if name not in step.after:
                yield Finding((*at, "wait", "after", number), not_one_of(name, step.after))
        for name in wait.after or step.after:
            between = [other for other in step.after if other != name and name in _before(product, other)]
            if wait.at_most is not None and between:
                message = f'"{between[0]}" lies between "{name}" and this: let it wait for that one alone'
                yield Finding((*at, "wait", "at_most"), message)
    if step.overlap is not None:
        mild = [other for other in product.operations if other.id in step.after and other.interruptible]
        if step.interruptible or mild:
            name = step.id if step.interruptible else mild[0].id
            message = f'"{name}" is interruptible: pieces cannot be counted on while it rests'
            yield Finding((*at, "overlap"), message)
        if wait is not None and wait.at_least and not first:
            yield Finding((*at, "overlap"), "it cannot start before the step before ends and wait after it")


def _before(product: Product, name: str) -> set[str]:
    """Ids of all steps that lead to a step."""
    found: set[str] = set()
    for step in reversed(product.operations):  # predecessors stand above
        if step.id == name or step.id in found:
            found |= {before for before in step.after if before != name}
    return found


def _template_findings(product: Product) -> Iterator[Finding]:
    numbers = product.numbers() | set(product.derived)
    known = sorted({*product.parameters, *product.derived})
    for index, step in enumerate(product.operations):
        at: Location = ("operations", index)
        yield from _text_findings((*at, "program"), step.program, known)
        for attribute, text in step.setup.items():
            yield from _text_findings((*at, "setup", attribute), text, known)
        for number, instruction in enumerate(step.steps):
            here: Location = (*at, "steps", number)
            for field in ("title", "title_zh", "text", "text_zh", "expected"):
                yield from _text_findings((*here, field), getattr(instruction, field), known)
            for field in ("nominal", "lower", "upper"):
                yield from _formula_findings((*here, field), getattr(instruction, field), numbers)
            yield from _step_findings(product, here, instruction, step)
        for number, planned in enumerate(step.inspection):
            for field in ("nominal", "lower", "upper"):
                yield from _formula_findings(
                    (*at, "inspection", number, field), getattr(planned, field), numbers
                )
        yield from inspection_findings((*at, "inspection"), step.inspection, measured_by_steps(step))


def measured_by_steps(step: RoutingStep) -> set[str]:
    """Characteristics that instruction steps of an operation measure."""
    return {instruction.characteristic for instruction in step.steps} - {""}


def _step_findings(
    product: Product, at: Location, step: InstructionStep, operation: RoutingStep
) -> Iterator[Finding]:
    if step.characteristic:
        names = [planned.name for planned in operation.inspection]
        if step.kind != "measure":
            yield Finding((*at, "characteristic"), f"a step of kind {step.kind} measures nothing")
        elif step.characteristic not in names:
            known = not_one_of(step.characteristic, names) if names else "the operation has no inspection"
            yield Finding((*at, "characteristic"), known)
        for field in ("nominal", "lower", "upper", "unit"):
            if getattr(step, field) not in (None, ""):
                message = f"the inspection of {step.characteristic} has it already: leave it out here"
                yield Finding((*at, field), message)
    elif step.kind == "measure" and step.lower is None and step.upper is None:
        yield Finding(at, "a measurement needs a limit: give lower, upper or both")
    for name, values in step.when.items():
        parameter = product.parameters.get(name)
        if parameter is None or parameter.type != "choice":
            choices = [n for n, p in product.parameters.items() if p.type == "choice"]
            yield Finding((*at, "when", name), not_one_of(name, choices))
            continue
        for number, value in enumerate(values):
            if value not in parameter.choices:
                yield Finding((*at, "when", name, number), not_one_of(value, parameter.choices))


def _text_findings(at: Location, text: str, known: list[str]) -> Iterator[Finding]:
    for name in names_in_text(text):
        if name not in known:
            yield Finding(at, f"{{{name}}}: {not_one_of(name, known)}")

"""The inspection plan of an operation as the product file has it.

A characteristic is measured by a step of the operation that names it, or by a tag of the machine; where
neither does, a measuring step is added at the end of the operation. ``nominal``, ``lower`` and ``upper`` may
be formulas over the parameters: then its values are only comparable as deviations, and the chart must be one
for short runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from protocols.documents import Finding, Location, not_one_of
from protocols.inspection import FREQUENCY
from protocols.site import Name
from protocols.spc.charts import COUNTED, GROUPED, WEIGHTED, Kind
from protocols.spc.constants import LARGEST
from protocols.spc.rules import DEFAULT, known_rules

Line = Annotated[str, StringConstraints(max_length=120)]
Measure = Decimal | Annotated[str, StringConstraints(max_length=200)]
Positive = Annotated[Decimal, Field(gt=0, le=10**9)]

SHORT_RUN = frozenset({Kind.DNOM, Kind.Z_MR, Kind.Q, Kind.PRE_CONTROL})
"""Charts on which parts of different nominals may stand together."""


class PlannedCharacteristic(BaseModel):
    """One line of an inspection plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Line
    title_zh: Line = ""
    nominal: Measure | None = None
    lower: Measure | None = None
    upper: Measure | None = None
    unit: Annotated[str, StringConstraints(max_length=8)] = Field("", description="Rec 20, e.g. MMT = mm")
    frequency: Annotated[str, StringConstraints(pattern=FREQUENCY)] = Field(
        "lot", description="lot, first and last, or every 5 (pieces; of a tag: values)"
    )
    gauge: Line = Field("", description="what it is measured with")
    chart: Kind = Kind.DNOM
    size: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1, description="values in a subgroup, or units inspected for one count"
    )
    rules: tuple[str, ...] = Field(
        tuple(str(rule) for rule in DEFAULT), description="run rules: few, because each costs false alarms"
    )
    target: Decimal | None = Field(default=None, description="known mean of the process, with sigma")
    sigma: Positive | None = Field(default=None, description="known standard deviation of single values")
    weight: Annotated[Decimal, Field(gt=0, le=1)] = Field(Decimal("0.2"), description="lambda of EWMA")
    width: Positive = Field(Decimal("2.962"), description="limits of EWMA in sigmas")
    slack: Annotated[Decimal, Field(ge=0, le=100)] = Field(Decimal("0.5"), description="k of CUSUM in sigmas")
    decision: Positive = Field(Decimal(5), description="h of CUSUM in sigmas")
    on_violation: Literal["note", "hold"] = Field(
        "note", description="hold: what follows waits until a supervisor has released the lot"
    )
    tag: Line = Field("", description="tag or role of the workcell's machine that measures it")


def inspection_findings(
    at: Location, plan: Sequence[PlannedCharacteristic], measured: set[str]
) -> Iterator[Finding]:
    """What is wrong with a plan; ``measured`` are the characteristics that steps of the operation measure."""
    for number, planned in enumerate(plan):
        here = (*at, number)
        if any(planned.name == other.name for other in plan[:number]):
            yield Finding((*here, "name"), f'"{planned.name}" is the name of two characteristics')
        if planned.tag and planned.name in measured:
            yield Finding((*here, "tag"), f"a step measures {planned.name} already: one of both")
        if planned.tag and planned.frequency == "first and last":
            yield Finding(
                (*here, "frequency"), "a tag does not know the last piece: lot, or every 5 (values)"
            )
        for place, rule in enumerate(planned.rules):
            if rule not in known_rules():
                yield Finding((*here, "rules", place), not_one_of(rule, known_rules()))
        yield from _limit_findings(here, planned)
        yield from _chart_findings(here, planned)


def _limit_findings(at: Location, planned: PlannedCharacteristic) -> Iterator[Finding]:
    lower, upper = planned.lower, planned.upper
    if isinstance(lower, Decimal) and isinstance(upper, Decimal) and lower >= upper:
        yield Finding((*at, "lower"), f"{lower} is not less than upper {upper}")
    if planned.chart in COUNTED:
        for field in ("nominal", "lower", "upper"):
            if getattr(planned, field) is not None:
                yield Finding((*at, field), f"a chart of kind {planned.chart} counts: it has no tolerance")
    elif lower is None and upper is None:
        yield Finding(at, "a measurement needs a limit: give lower, upper or both")


def _chart_findings(at: Location, planned: PlannedCharacteristic) -> Iterator[Finding]:
    kind = planned.chart
    for field in _NEEDED.get(kind, ()):
        if getattr(planned, field) is None:
            yield Finding(at, f'a chart of kind {kind} needs "{field}"')
    if kind in GROUPED and not 2 <= planned.size <= LARGEST:
        yield Finding((*at, "size"), f"{planned.size}: a subgroup has 2 to {LARGEST} values")
    if kind not in GROUPED | COUNTED and planned.size != 1:
        yield Finding((*at, "size"), f"{planned.size}: a chart of kind {kind} has single values")
    if (planned.target is None) != (planned.sigma is None) and kind in WEIGHTED:
        yield Finding(at, "target and sigma go together: give both, or neither and freeze limits later")
    formulas = [f for f in ("nominal", "lower", "upper") if isinstance(getattr(planned, f), str)]
    if formulas and kind not in SHORT_RUN:
        message = (
            f"{formulas[0]} differs from variant to variant, so its values do not compare on a chart of kind "
            f"{kind}: choose {', '.join(sorted(SHORT_RUN))}"
        )
        yield Finding((*at, "chart"), message)


_NEEDED: dict[Kind, tuple[str, ...]] = {
    Kind.DNOM: ("nominal",),
    Kind.Z_MR: ("nominal", "sigma"),
    Kind.PRE_CONTROL: ("lower", "upper"),
}

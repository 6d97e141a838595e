"""The inspection plan of an operation, as it travels with the job list: what is measured, how often, and what
its chart decides. Pure: both sides judge a measurement with the same plan and the same rules.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from protocols.spc.charts import Sample, Spec, in_words
from protocols.spc.limits import Limits

FREQUENCY = r"^(lot|first and last|every [1-9][0-9]{0,3})$"
"""``lot``: once for each lot; ``first and last``: those two pieces of it; ``every 5``: each fifth piece."""


class Verdict(StrEnum):
    """What the violation of a chart leads to."""

    NOTE = "note"
    HOLD = "hold"


class Characteristic(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an inspection plan. ``chart`` is what it is charted under, at any workcell; ``steps`` are
    the numbers of the instruction steps that measure it, ``tag`` the tag or role of a machine that does
    instead. ``limits`` are the frozen ones of its chart at the workcell of the job list.
    """

    name: str
    title: str
    title_zh: str
    chart: str
    spec: Spec
    unit: str = ""
    frequency: str = "lot"
    gauge: str = ""
    on_violation: Verdict = Verdict.NOTE
    steps: tuple[int, ...] = ()
    tag: str = ""
    limits: Limits | None = None

    def sample(self, value: float) -> Sample:
        """A measured value with what belongs to this variant: parts of different nominals share a chart."""
        spec = self.spec
        part = "" if spec.nominal is None else f"{spec.nominal:g}"
        return Sample((value,), float(spec.size), spec.nominal, spec.lower, spec.upper, spec.sigma, part)


class Held(msgspec.Struct, frozen=True):
    """Why work on a lot may not go on: a nonconformance that a supervisor has not released yet.

    ``nonconformance`` is its number at the service, empty where only this edge knows of it; ``source`` is the
    action that measured it.
    """

    nonconformance: str
    en: str
    zh: str
    source: str = ""


class Disposition(StrEnum):
    """What is done with pieces that do not conform (ISO 9001:2015, 8.7)."""

    USE_AS_IS = "use as is"
    REWORK = "rework"
    SCRAP = "scrap"
    RETURN = "return"


class Notice(msgspec.Struct, frozen=True):
    """What a chart said about an operation, for the operator to read. ``ts`` in µs UTC."""

    characteristic: str
    ts: int
    en: str
    zh: str


def said(planned: Characteristic, signals: tuple[str, ...], value: float) -> tuple[str, str]:
    """A violation in English and Chinese: what, how much, which rule."""
    english, chinese = in_words(signals)
    unit = f" {planned.unit}" if planned.unit else ""
    return f"{planned.title} {value:g}{unit}: {english}", f"{planned.title_zh} {value:g}{unit}：{chinese}"


def needed(frequency: str, quantity: Decimal) -> int:
    """How many measurements a lot of ``quantity`` pieces needs."""
    pieces = max(1, int(quantity))
    if frequency == "lot":
        return 1
    if frequency == "first and last":
        return min(2, pieces)
    every = int(frequency.removeprefix("every "))
    return max(1, -(-pieces // every))


def due(frequency: str, made: Decimal, quantity: Decimal, measured: int) -> bool:
    """Whether a measurement is due: ``made`` pieces of ``quantity`` are done, ``measured`` of them were."""
    if measured >= needed(frequency, quantity):
        return False
    if not measured or frequency == "lot":
        return not measured
    if frequency == "first and last":
        return made >= quantity - 1
    return made >= measured * int(frequency.removeprefix("every "))


def chart_at(chart: str, workcell: str) -> str:
    """The key of a chart: each workcell is a process of its own."""
    return f"{chart}@{workcell}"

"""Scripted faults of a simulator: ``silent@30s+10s`` is silent from second 30 for ten seconds. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.simulator import Fault
from protocols.documents import not_one_of

_FORM = "write fault@start+length, e.g. silent@30s+10s, slow@2m (to the end) or disconnect@10s+1s/60s (again)"
_TIME = r"(\d+(?:\.\d+)?)(ms|s|m|h)?"
_SPELL = re.compile(rf"([a-z_]+)(?:@{_TIME})?(?:\+{_TIME})?(?:/{_TIME})?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Spell:
    """One fault from ``start`` for ``length`` seconds, again every ``period`` seconds where that is given."""

    fault: Fault
    start: float = 0.0
    length: float = math.inf
    period: float = math.inf

    def holds(self, seconds: float) -> bool:
        """Whether it is on, so many seconds after the start of the simulator."""
        since = seconds - self.start
        return since >= 0 and math.fmod(since, self.period) < self.length

    def next_change(self, seconds: float) -> float:
        """When it next begins or ends after ``seconds``; infinite when it never does."""
        if seconds < self.start:
            return self.start
        begun = self.start + (
            0.0 if math.isinf(self.period) else (seconds - self.start) // self.period * self.period
        )
        return min((t for t in (begun + self.length, begun + self.period) if t > seconds), default=math.inf)


def parse_spell(text: str) -> Spell:
    """``silent``, ``silent@30s``, ``silent@30s+10s`` or ``silent@30s+500ms/2m``; seconds unless said.

    Raises:
        ValueError: no such form or fault, or it would last longer than until its next time.
    """
    found = _SPELL.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f'"{text}" is not a scripted fault — {_FORM}')
    name, *times = found.groups()
    if name not in set(Fault):
        raise ValueError(f"{not_one_of(name, list(Fault))}; {_FORM}")
    start, length, period = (
        float(number) * _SECONDS[unit or "s"] if number else None
        for number, unit in zip(times[0::2], times[1::2], strict=True)
    )
    spell = Spell(Fault(name), start or 0.0, length or math.inf, period or math.inf)
    if not math.isinf(spell.period) and spell.length >= spell.period:
        raise ValueError(f'"{text}": it must be shorter than the {spell.period:g} s until it comes again')
    return spell


def fault_at(spells: Sequence[Spell], seconds: float) -> Fault | None:
    """The fault that holds at a time: of several the one that was given first."""
    return next((spell.fault for spell in spells if spell.holds(seconds)), None)


def next_change(spells: Sequence[Spell], seconds: float) -> float:
    """When the fault may next be another one."""
    return min((spell.next_change(seconds) for spell in spells), default=math.inf)

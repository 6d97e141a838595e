"""Whether an asset keeps its false-alarm budget, and the threshold that would have kept it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from cloud.maintenance.health.asset import Episode
from cloud.maintenance.health.limits import Limits
from protocols.values import MICROSECONDS

MONTH = 30 * 86_400 * MICROSECONDS
ABOVE = 1.1
"""A proposed threshold lies so far above the highest deviation of a false alarm."""
HIGHEST = 10.0
"""Multiples of the learned threshold that are still proposed: beyond, something else is wrong."""


class Proposal(msgspec.Struct, frozen=True):
    """Another factor on the learned threshold, for a person to confirm, and why."""

    factor: float
    present: float
    why: str


class Budget(msgspec.Struct, frozen=True):
    """``per_month`` is what is allowed; ``false_alarms`` were found in ``months`` of watching.

    ``proposal`` is None while the budget is kept, or where nothing can be proposed: ``note`` says why.
    """

    per_month: float
    months: float
    false_alarms: int
    kept: bool
    proposal: Proposal | None
    note: str = ""


def budget(
    false: Iterable[int],
    episodes: Sequence[Episode],
    watched_since: int,
    now: int,
    factor: float,
    confirmed: int,
    limits: Limits,
) -> Budget:
    """The account of one asset.

    ``false`` has the times (µs UTC) at which cases that turned out to be false alarms were opened. Those from
    before the last threshold was ``confirmed`` are settled. Less than a month of watching counts as one.
    """
    counted = sorted(ts for ts in false if ts > confirmed)
    begin = max(watched_since, confirmed)
    months = max(1.0, (now - begin) / MONTH)
    kept = len(counted) <= limits.false_alarms * months
    proposal, note = None, ""
    if not kept:
        peaks = [each.peak for each in episodes if each.opened in counted]
        if not peaks:
            note = "the course of these alarms is not kept any more: nothing can be proposed"
        elif ABOVE * max(peaks) > HIGHEST:
            note = (
                f"a threshold that would have kept still is more than {HIGHEST:g} times the learned one: "
                "look for what changed at the machine or at a sensor instead"
            )
        else:
            proposal = _proposal(max(peaks), len(counted), months, factor, limits)
    return Budget(limits.false_alarms, round(months, 2), len(counted), kept, proposal, note)


def _proposal(peak: float, count: int, months: float, factor: float, limits: Limits) -> Proposal:
    wanted = round(max(factor, ABOVE * peak), 2)
    alarms = "1 false alarm" if count == 1 else f"{count} false alarms"
    why = (
        f"{alarms} in {months:.1f} months, allowed are {limits.false_alarms:g} a month; the highest reached "
        f"{peak:.2f} times the learned threshold"
    )
    return Proposal(wanted, factor, why)

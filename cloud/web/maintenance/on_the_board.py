"""Maintenance cases on the board: their windows in the plan, and what they ask of somebody. No NiceGUI."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from cloud.maintenance.case import Case
from cloud.web.gantt import Window
from cloud.web.speech import Speech
from protocols.lifecycles import CaseState
from protocols.site import Device, Site
from protocols.values import MICROSECONDS

UNPLACED = 60 * MICROSECONDS
"""µs after which somebody is told that the plan has no room for a maintenance order."""

_ACTIONS = {
    CaseState.OPEN: (4, "acknowledge"),
    CaseState.ACKNOWLEDGED: (5, "plan"),
    CaseState.DONE: (6, "verdict"),
}
"""How urgent a case is in its state, and the one thing to do about it; a planned one waits for its window."""


class Asked(NamedTuple):
    """What a case asks of somebody: as ``cloud.web.need.Need``."""

    rank: int
    since: int
    shape: str
    text: str
    detail: str
    opens: str
    action: str = ""
    target: str = ""


class Placed(NamedTuple):
    """Where the plan in force has an order; µs UTC."""

    workcell: str
    start: int
    end: int


def asks(case: Case, placed: Collection[str], now: int, say: Speech) -> Asked | None:
    """What a case asks of somebody; nothing while it waits for its window, or is not to be spoken of.
    ``placed`` are the cases for which the plan has room."""
    opens, text = f"case:{case.id}", f"{case.device}: {case.mode} ({say(case.state)})"
    order = case.order
    if case.state is CaseState.PLANNED and order is not None:
        if now > order.bound:
            return Asked(3, order.bound, "▲", text, say("past its bound: do it, or say why not"), opens)
        if order.fixed is not None:
            late = now > order.fixed + order.duration // 2
            words = say("its time has come, and nobody has begun")
            return Asked(4, order.fixed, "◇", text, words, opens) if late else None
        if order.workcell and case.id not in placed and now > case.changed + UNPLACED:
            words = say("the plan has no room for it before its bound")
            return Asked(4, case.changed, "▲", text, words, opens)
        return None
    rank, action = _ACTIONS.get(case.state, (0, ""))
    if not rank or case.snoozed(now):
        return None
    return Asked(rank, case.opened, "◇", text, case.summary, opens, action, case.id)


def windows(open_cases: Sequence[Case], placed: Mapping[str, Placed], site: Site) -> list[Window]:
    """The maintenance that the plan places, and that which people fixed, at every workcell that it stops."""
    devices = site.devices()
    known = {case.id: case for case in open_cases}
    found: list[Window] = []
    for name, place in placed.items():
        case = known.get(name)
        if case is None or case.order is None or case.order.fixed is None:
            found += _windows(place, name, case, devices)
    for case in open_cases:
        order = case.order
        if case.state is CaseState.PLANNED and order is not None and order.fixed is not None:
            place = Placed(order.workcell, order.fixed, order.fixed + order.duration)
            found += _windows(place, case.id, case, devices)
    return found


def _windows(place: Placed, name: str, case: Case | None, devices: Mapping[str, Device]) -> Iterator[Window]:
    order = case.order if case is not None else None
    device = devices.get(case.device) if case is not None else None
    for cell in dict.fromkeys((place.workcell, *(device.workcells if device is not None else ()))):
        yield Window(
            cell,
            place.start,
            place.end,
            f"maintenance: {case.summary if case is not None else name}",
            f"case:{name}",
            bound=order.bound if order is not None else None,
            fixed=order is not None and order.fixed is not None,
        )

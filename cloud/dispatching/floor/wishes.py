"""Maintenance that the planner has to place: cases a person decided to plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from cloud.dispatching.floor.building import Wish
from cloud.dispatching.floor.outages import expected
from cloud.dispatching.settings import DispatchSettings
from cloud.maintenance.case import Case
from cloud.maintenance.cases import cases
from cloud.maintenance.work_order import WorkOrder
from protocols.lifecycles import CaseState
from protocols.site import Site
from protocols.values import MICROSECONDS

WANTED = frozenset((CaseState.PLANNED, CaseState.IN_WORK))
"""States of a case in which its order takes the machine's time."""

WishSource = Callable[[Connection, int], Sequence[Wish]]
"""Maintenance that wants doing, given the time (µs UTC)."""


def open_cases(tx: Connection) -> list[Case]:
    """Cases that are not closed."""
    return cases(tx, open_only=True)


def planned_cases(
    site: Site, settings: DispatchSettings, read: Callable[[Connection], Iterable[Case]] = open_cases
) -> WishSource:
    """The wishes of cases that have a maintenance order, at the workcells of each one's machine.

    An order that is past its bound still wants its window: within the usual time again, from now. One in work
    keeps who does it until it is expected to end.
    """
    devices = site.devices()
    within = settings.service_within_seconds * MICROSECONDS

    def wishes(tx: Connection, now: int) -> list[Wish]:
        found: list[Wish] = []
        for case in read(tx):
            device = devices.get(case.device)
            order = case.order
            if case.state not in WANTED or device is None or not device.workcells:
                continue
            label = case.summary or case.mode
            if case.state is CaseState.IN_WORK:
                if order is not None:
                    found.append(_in_work(case, order, device.workcells, now))
                continue
            if order is None:  # planned by an older version
                before, seconds = case.changed + within, settings.service_seconds
                found.append(
                    Wish(
                        case.id,
                        device.workcells[0],
                        seconds,
                        _still_possible(before, now, seconds, within),
                        label,
                        also=device.workcells[1:],
                    )
                )
                continue
            begins = max(now, order.earliest)
            found.append(
                Wish(
                    case.id,
                    order.workcell,
                    order.seconds,
                    _still_possible(order.bound, begins, order.seconds, within),
                    label,
                    order.earliest,
                    order.fixed,
                    order.weight,
                    order.revision,
                    order.skills,
                    _others(order, device.workcells),
                )
            )
        return found

    return wishes


def _in_work(case: Case, order: WorkOrder, cells: Sequence[str], now: int) -> Wish:
    began = case.began if case.began is not None else case.changed
    ends = expected(began, order.duration, now)
    return Wish(
        case.id,
        order.workcell,
        (ends - began) // MICROSECONDS,
        ends,
        case.summary or case.mode,
        fixed=began,
        revision=order.revision,
        needs=order.skills,
        also=_others(order, cells),
    )


def _others(order: WorkOrder, cells: Sequence[str]) -> tuple[str, ...]:
    """The other workcells at which the machine of an order works."""
    return tuple(cell for cell in cells if cell != order.workcell)


def _still_possible(before: int, begins: int, seconds: int, within: int) -> int:
    """The bound, put off where it cannot be met: by whole spans, so that it does not move with every look."""
    ends = begins + seconds * MICROSECONDS
    return before if before >= ends else before + within * (1 + (ends - before) // within)

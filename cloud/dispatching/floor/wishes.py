"""Maintenance that the planner has to place: cases a person decided to plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from cloud.dispatching.floor.building import Wish
from cloud.dispatching.settings import DispatchSettings
from cloud.maintenance.cases import cases
from protocols.lifecycles import CaseState
from protocols.site import Site
from protocols.values import MICROSECONDS

WishSource = Callable[[Connection, int], Sequence[Wish]]
"""Maintenance that wants doing, given the time (µs UTC)."""


def planned_cases(site: Site, settings: DispatchSettings) -> WishSource:
    """The wishes of open cases in the state ``planned``, at the first workcell of each one's machine.

    A case that is overdue still wants its window: within the same time again, from now.
    """
    devices = site.devices()
    within = settings.service_within_seconds * MICROSECONDS

    def wishes(tx: Connection, now: int) -> list[Wish]:
        found: list[Wish] = []
        for case in cases(tx, open_only=True):
            device = devices.get(case.device)
            if case.state is not CaseState.PLANNED or device is None or not device.workcells:
                continue
            before = case.changed + within
            if before < now + settings.service_seconds * MICROSECONDS:
                # Whole spans, so that the date does not move with every look.
                before += within * (1 + (now + settings.service_seconds * MICROSECONDS - before) // within)
            found.append(
                Wish(
                    case.id, device.workcells[0], settings.service_seconds, before, case.summary or case.mode
                )
            )
        return found

    return wishes

"""The maintenance orders that go out to the edges with their job lists, ready to show."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from cloud.dispatching.floor.load import services
from cloud.maintenance.case import Case
from cloud.maintenance.cases import SENSOR, cases
from protocols.jobs import MaintenanceOrder, Text
from protocols.lifecycles import CaseState
from protocols.site import Site
from protocols.site_maintenance import Upkeep

SHOWN = frozenset((CaseState.PLANNED, CaseState.IN_WORK))
"""States of a case in which the station of its machine has its order."""


def orders(tx: Connection, site: Site) -> dict[str, tuple[MaintenanceOrder, ...]]:
    """Orders of every edge for its own machines, by case; those that come first, first."""
    edge_of = {device.id: edge.id for edge in site.edges for device in edge.devices}
    found: dict[str, list[MaintenanceOrder]] = {}
    planned: dict[str, tuple[int, int]] | None = None
    for case in cases(tx, open_only=True):
        if case.state not in SHOWN or case.device not in edge_of:
            continue
        if planned is None:
            planned = services(tx)
        order = _order(case, site, planned.get(case.id))
        if order.workcell:
            found.setdefault(edge_of[case.device], []).append(order)
    return {
        edge: tuple(sorted(own, key=lambda order: (order.start or order.earliest, order.case)))
        for edge, own in found.items()
    }


def _order(case: Case, site: Site, planned: tuple[int, int] | None) -> MaintenanceOrder:
    upkeep = site.upkeep(case.device, case.mode)
    device = site.devices()[case.device]
    order = case.order
    if order is not None and order.fixed is not None:
        planned = (order.fixed, order.fixed + order.duration)
    start, end = planned or (0, 0)
    return MaintenanceOrder(
        case=case.id,
        device=case.device,
        workcell=(order.workcell if order is not None else "") or next(iter(device.workcells), ""),
        title=Text(upkeep.title, upkeep.title_zh),
        why=case.summary,
        start=start,
        end=end,
        earliest=order.earliest if order is not None else 0,
        bound=order.bound if order is not None else 0,
        seconds=order.seconds if order is not None else 0,
        fixed=order is not None and order.fixed is not None,
        in_work=case.state is CaseState.IN_WORK,
        revision=order.revision if order is not None else 0,
        steps=tuple(Text(step.text, step.text_zh or step.text) for step in upkeep.steps),
        skills=tuple(_skills(upkeep, site)),
        parts=upkeep.parts,
        declined=order.declined if order is not None else None,
        renews=case.mode != SENSOR,
    )


def _skills(upkeep: Upkeep, site: Site) -> list[Text]:
    found = []
    for name, number in upkeep.needs.items():
        what = site.crew.get(name) or site.tools.get(name)
        en, zh = (what.title, what.title_zh or what.title) if what is not None else (name, name)
        found.append(Text(f"{number} × {en}", f"{number} × {zh}"))
    return found


def timeless(found: tuple[MaintenanceOrder, ...]) -> tuple[MaintenanceOrder, ...]:
    """Orders without what a new plan moves a little, and without what their own edge reported."""
    bare = [msgspec.structs.replace(order, start=0, end=0, in_work=False) for order in found]
    return tuple(sorted(bare, key=lambda order: order.case))

"""Which leased operations to ask back: what waits at one machine while another could do it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from cloud.dispatching.floor.floor import Floor, OpenOperation, Planned, effective_lease
from protocols.lifecycles import OperationState
from protocols.site import Site


class Wanted(msgspec.Struct, frozen=True):
    """Operations to ask one edge for, and why."""

    edge: str
    operations: tuple[str, ...]
    reason: str


def wanted(floor: Floor, site: Site, edges: Collection[str], settled: Collection[str]) -> list[Wanted]:
    """What to ask for now. ``edges`` may be asked; ``settled`` are operations not to be asked for again yet.

    Work at a machine that is down goes as soon as another machine of its kind is up. Otherwise only work
    that waits for its machine, and would wait less for another by more than its own duration; whole planned
    runs together.
    """
    cells = site.workcells()
    run_of = floor.run_of()
    free_from = _free_from(floor, site)
    work = {operation.id: operation for operation in floor.operations}
    found: list[Wanted] = []
    asked: set[str] = set()
    for operation in floor.operations:
        lease = effective_lease(floor, operation.id)
        if lease is None or lease.workcell not in cells or lease.edge not in edges or operation.id in asked:
            continue
        members = tuple(_together(floor, operation.id))
        if any(name in run_of or name in settled or name in floor.asked for name in members):
            continue
        if operation.state is not OperationState.PLANNED:
            continue
        others = [
            cell.id
            for cell in cells.values()
            if cell.kind == operation.kind and cell.id != lease.workcell and cell.id not in floor.down
        ]
        ready = max((_ready(floor, work[name]) for name in members if name in work), default=floor.now)
        reason = _reason(floor, lease.workcell, floor.planned.get(operation.id), others, free_from, ready)
        if reason:
            asked.update(members)
            found.append(Wanted(lease.edge, members, reason))
    return found


def _together(floor: Floor, name: str) -> Iterator[str]:
    """The operations that an edge holds as one planned run."""
    lease = floor.leases[name]
    if not lease.group:
        yield name
        return
    for other in floor.leases.values():
        if not other.returned and (other.workcell, other.group) == (lease.workcell, lease.group):
            yield other.operation


def _free_from(floor: Floor, site: Site) -> dict[str, int]:
    """When each workcell has done all that is planned there."""
    free = dict.fromkeys(site.workcells(), floor.now)
    for planned in floor.planned.values():
        if planned.workcell in free:
            free[planned.workcell] = max(free[planned.workcell], planned.end)
    return free


def _ready(floor: Floor, operation: OpenOperation) -> int:
    """When the plan has an operation's material ready, transport left out."""
    before = [floor.planned[name].end for name in operation.predecessors if name in floor.planned]
    return max([floor.now, *before])


def _reason(
    floor: Floor,
    cell: str,
    planned: Planned | None,
    others: list[str],
    free_from: dict[str, int],
    ready: int,
) -> str:
    if not others:
        return ""
    if (down := floor.down.get(cell)) is not None:
        return f"{cell} is down ({down.reason}), {', '.join(others)} could do it"
    if planned is None:
        return ""
    best = min(others, key=lambda name: free_from[name])
    if planned.start - max(free_from[best], ready) > planned.end - planned.start:
        return f"{best} is free earlier than {cell}"
    return ""

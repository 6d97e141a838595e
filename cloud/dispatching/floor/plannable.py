"""Which open work can be planned here, and why the rest cannot."""

from __future__ import annotations

from cloud.dispatching.floor.availability import longest_work
from cloud.dispatching.floor.floor import Floor, OpenOperation
from protocols.site import Site


def unplannable(floor: Floor, site: Site) -> dict[str, str]:
    """Open operations that nobody can do here, because the site's file was changed meanwhile, and why."""
    kinds, shared, longest = site.kinds(), site.shared(), longest_work(floor, site)
    found: dict[str, str] = {}
    for operation in floor.operations:
        seconds = round(operation.setup_seconds) + operation.run_seconds
        lacking = [name for name, number in operation.needs.items() if number > shared.get(name, 0)]
        if operation.kind not in kinds:
            found[operation.id] = f'needs a workcell of kind "{operation.kind}", which the site has no more'
        elif lacking:
            number, there = operation.needs[lacking[0]], shared.get(lacking[0], 0)
            found[operation.id] = f'needs {number} of "{lacking[0]}", of which the site has {there}'
        elif longest is not None and seconds > longest and not operation.interruptible:
            found[operation.id] = (
                f"takes {seconds // 60} min, and nobody works longer than {longest // 60} without a rest"
            )
    return found


def plannable(floor: Floor, site: Site) -> list[OpenOperation]:
    """Open operations without those that nobody here can do and what waits for them; work in hand stays."""
    in_hand = {name for run in floor.runs if run.workcell in site.workcells() for name in run.operations}
    out = unplannable(floor, site).keys() - in_hand
    grown = bool(out)
    while grown:
        behind = {o.id for o in floor.operations if out & set(o.predecessors)} - out - in_hand
        out |= behind
        grown = bool(behind)
    return [operation for operation in floor.operations if operation.id not in out]

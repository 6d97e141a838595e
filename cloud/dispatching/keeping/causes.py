"""Why there should be a new plan: the floor compared with the plan in force. Pure.

Nothing depends on having heard an event: whatever happened while the service was down shows in the
comparison all the same. Events only make it look sooner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from cloud.dispatching.floor.building import Wish
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.dispatching.floor.floor import Floor, OpenOperation, Planned, effective_lease, just_returned
from cloud.dispatching.floor.plannable import plannable
from cloud.dispatching.keeping.plans import Cause
from cloud.dispatching.settings import DispatchSettings
from protocols.lifecycles import OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS

DECIDED = frozenset({"overtime", "closed", "absent", "extra", "pin"})
"""Causes that are decisions of people, or their being taken back."""
URGENT = DECIDED | {"order", "promise", "remake", "down", "released", "scenario", "hold", "disposed"}
"""Causes for which a search under way is ended early with its best plan so far."""
TOLD_FIRST = frozenset({"hold", "disposed"})
"""Causes that stations hear of before there is another plan: work may or may not begin by them."""
LATENESS = frozenset({"late", "early", "waits"})
"""Causes that alone do not make more than a plan every ``late_seconds``."""


def causes(
    floor: Floor,
    site: Site,
    settings: DispatchSettings,
    *,
    planned_down: Collection[str],
    wishes: Sequence[Wish],
    planned_wishes: Collection[str],
    planned_decisions: Collection[int] = (),
    planned_stuck: Collection[str] = (),
) -> list[Cause]:
    """Everything that the plan in force does not know; empty when it still holds.

    ``planned_down`` and ``planned_wishes`` are what that plan counted as down, and as maintenance to do,
    ``planned_decisions`` and ``planned_stuck`` the decisions it heeds and the vehicles it does not count on.
    """
    found = [
        *_work(floor, site),
        *_machines(floor, planned_down),
        *_vehicles(floor, planned_stuck),
        *_decisions(floor, planned_decisions),
        *_maintenance(wishes, planned_wishes),
        *_times(floor, settings),
    ]
    return list(dict.fromkeys(found))


def _work(floor: Floor, site: Site) -> Iterator[Cause]:
    """Open work that is not planned, planned work that is gone, work that went elsewhere or came back.

    What no plan could heed (workcells that the site has no more) is no cause, or planning would never end.
    """
    open_ids = {operation.id for operation in floor.operations}
    cells, run_of = site.workcells(), floor.run_of()
    for operation in plannable(floor, site):
        planned = floor.planned.get(operation.id)
        if planned is None:
            yield _new(operation)
            continue
        if operation.weight != planned.weight or not 0 <= operation.due - planned.due < MICROSECONDS:
            yield Cause("promise", operation.order, f"order {operation.order} is promised anew")
        if (operation.material_at or 0) != planned.material:
            text = f"material of order {operation.order} comes at another time"
            yield Cause("material", operation.order, text)
        run = run_of.get(operation.id)
        if run is None and (operation.held is not None) != planned.held:
            yield _hold(operation)
        if run is not None and run.workcell != planned.workcell and run.workcell in cells:
            text = f"{operation.id} runs on {run.workcell}, planned on {planned.workcell}"
            yield Cause("elsewhere", operation.id, text)
        elif run is None and planned.fixed and operation.state is OperationState.PAUSED:
            yield Cause("interrupted", operation.id, f"{operation.id} was put down before it was finished")
        lease = effective_lease(floor, operation.id)
        moved = lease is not None and lease.workcell != planned.workcell and lease.workcell in cells
        if lease is not None and moved and run is None:
            text = f"{operation.id} went out to {lease.workcell} while it was planned on {planned.workcell}"
            yield Cause("held", operation.id, text)
        if just_returned(floor, operation.id):
            yield Cause("released", operation.id, f"{operation.id} was given back and may be moved")
    gone = Counter(name.rsplit("-", 1)[0] for name in floor.planned.keys() - open_ids - floor.ended.keys())
    for job, count in sorted(gone.items()):
        yield Cause("cancelled", job, f"{count} operation(s) of {job} are no longer to be done")


def _hold(operation: OpenOperation) -> Cause:
    """One for all that a nonconformance holds, or a decision frees, of a job."""
    if operation.held is None:
        return Cause("disposed", operation.job, f"job {operation.job} is on hold no more")
    number = operation.held.nonconformance
    return Cause("hold", operation.job, f"job {operation.job} is on hold, nonconformance {number}")


def _new(operation: OpenOperation) -> Cause:
    if operation.urgent:
        return Cause("remake", operation.job, f"remake job {operation.job}")
    if operation.rework_of:
        return Cause("rework", operation.id, f"rework {operation.id}")
    return Cause("order", operation.order, f"order {operation.order} came in")


def _machines(floor: Floor, planned_down: Collection[str]) -> Iterator[Cause]:
    for cell, down in sorted(floor.down.items()):
        if cell not in planned_down:
            yield Cause("down", cell, f"{cell} is down: {down.reason}")
    for cell in sorted(set(planned_down) - floor.down.keys()):
        yield Cause("up", cell, f"{cell} is back")


def _vehicles(floor: Floor, planned_stuck: Collection[str]) -> Iterator[Cause]:
    for vehicle, stuck in sorted(floor.stuck.items()):
        if vehicle not in planned_stuck:
            yield Cause("stuck", vehicle, f"{vehicle} is stuck: {stuck.reason}")
    for vehicle in sorted(set(planned_stuck) - floor.stuck.keys()):
        yield Cause("freed", vehicle, f"{vehicle} drives again")


def _decisions(floor: Floor, planned_decisions: Collection[int]) -> Iterator[Cause]:
    """Decisions that are new or were taken back; those that are over have had their effect."""
    for decision in floor.decisions:
        if decision.id not in planned_decisions:
            text = f"{_decided(decision)}: {decision.reason}" if decision.reason else _decided(decision)
            yield Cause(_kind(decision), decision.about, text)
    for decision in floor.withdrawn:
        yield Cause(_kind(decision), decision.about, f"{_decided(decision)}: taken back")


def _kind(decision: Decision) -> str:
    if decision.kind is Kind.HEADS:
        return "absent" if decision.heads < 0 else "extra"
    return str(decision.kind)


def _decided(decision: Decision) -> str:
    """A decision in a few words, without its times."""
    if decision.kind is Kind.HEADS:
        heads = abs(decision.heads)
        number = f"{heads} {'head' if heads == 1 else 'heads'} {'fewer' if decision.heads < 0 else 'more'}"
        return f"{number} for {decision.skill}"
    if decision.kind is Kind.PIN:
        where = f" to {decision.workcell}" if decision.workcell else ""
        return f"{decision.operation} is pinned{where}{' to a time' if decision.start is not None else ''}"
    words = "overtime at" if decision.kind is Kind.OVERTIME else "planned stop of"
    return f"{words} {decision.workcell or 'the whole site'}"


def _maintenance(wishes: Sequence[Wish], planned: Collection[str]) -> Iterator[Cause]:
    """Maintenance that is new, was changed, or is no longer to be done."""
    wanted = {wish.id: wish for wish in wishes}
    heeded = {key.partition("#")[0] for key in planned}
    for name, wish in sorted(wanted.items()):
        if name not in heeded:
            yield Cause("maintenance", name, f"maintenance of {wish.workcell}: {wish.label}")
        elif wish.key not in planned:
            text = f"maintenance of {wish.workcell} has another window: {wish.label}"
            yield Cause("maintenance", name, text)
    for name in sorted(heeded - wanted.keys()):
        yield Cause("maintenance", name, f"maintenance {name} is done or withdrawn")


def _times(floor: Floor, settings: DispatchSettings) -> Iterator[Cause]:
    """Work that takes longer, ended earlier, or did not begin when it should have."""
    run_of = floor.run_of()
    for operation in floor.operations:
        planned = floor.planned.get(operation.id)
        if planned is None:
            continue
        slack = _slack(planned, settings)
        running = operation.id in run_of
        if running and floor.now > planned.end + slack:
            text = f"{operation.id} is not finished, {_ago(floor.now - planned.end)} after its planned end"
            yield Cause("late", operation.id, text)
        elif running and not planned.fixed and planned.start - run_of[operation.id].opened > slack:
            text = f"{operation.id} began {_ago(planned.start - run_of[operation.id].opened)} early"
            yield Cause("early", operation.id, text)
        elif not running and floor.now > planned.start + slack:
            text = f"{operation.id} has not begun, {_ago(floor.now - planned.start)} after its planned start"
            yield Cause("waits", operation.id, text)
    for name, at in floor.ended.items():
        planned = floor.planned.get(name)
        if planned is not None and planned.end - at > _slack(planned, settings):
            text = f"{name} was finished {_ago(planned.end - at)} earlier than planned"
            yield Cause("early", name, text)


def _slack(planned: Planned, settings: DispatchSettings) -> int:
    return max(MICROSECONDS, round((planned.end - planned.start) * settings.late_share))


def _ago(us: int) -> str:
    seconds = us // MICROSECONDS
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

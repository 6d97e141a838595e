"""Refuses what cannot be done in time: waits that are longer than they may be, work that fits nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from cloud.dispatching.shop.problem import Alternative, Machine, Operation, Problem, Run, State, lease_order
from cloud.dispatching.shop.shared_validation import ProblemError


class _Unit(Struct, frozen=True):
    """What is done at once: a lone operation or a run, on one of the machines that are left to it."""

    name: str
    members: tuple[Operation, ...]
    offered: tuple[Alternative, ...]
    run: Run | None

    @property
    def shortest(self) -> int:
        return min((a.seconds for a in self.offered), default=0)

    @property
    def interruptible(self) -> bool:
        return all(member.interruptible for member in self.members)


def _units(problem: Problem) -> Iterator[_Unit]:
    """All that is still to be planned; facts are left out."""
    operations = {o.id: o for o in problem.operations}
    covered = {name for run in problem.runs for name in run.operations}
    for run in problem.runs:
        members = tuple(operations[name] for name in run.operations if name in operations)
        if members and members[0].state is not State.FIXED:
            yield _Unit(f"run {run.id}", members, _left(run.alternatives, members), run)
    for operation in problem.operations:
        if operation.id not in covered and operation.state is not State.FIXED:
            yield _Unit(operation.id, (operation,), _left(operation.alternatives, (operation,)), None)


def _left(alternatives: tuple[Alternative, ...], members: tuple[Operation, ...]) -> tuple[Alternative, ...]:
    """The alternatives that a lease or pins leave; all, where they leave none (which is told elsewhere)."""
    leased = [m.machine for m in members if m.state is State.LEASED]
    wanted = leased or [m.pin.machine for m in members if m.pin is not None and m.pin.machine is not None]
    return tuple(a for a in alternatives if a.machine in wanted) or alternatives


# -- longest lags -----------------------------------------------------------------------------------------

_Arcs = Mapping[str, list[tuple[str, int]]]
"""By unit what it waits for, with the seconds that pass between at least."""


def waits_too_long(problem: Problem) -> Iterator[ProblemError]:
    """Operations that a lag, the way, or what lies between keeps apart for longer than they may be."""
    hurried = [o for o in problem.operations if o.max_lags and o.state is not State.FIXED]
    if not hurried:
        return
    units = {unit.name: unit for unit in _units(problem)}
    unit_of = {member.id: unit.name for unit in units.values() for member in unit.members}
    arcs = _arcs(problem, units, unit_of)
    for operation in hurried:
        for name, most in operation.max_lags.items():
            if name not in unit_of or most < operation.lags.get(name, 0):
                continue
            least = _least_between(arcs, units, unit_of[name], unit_of[operation.id])
            if least > most:
                yield ProblemError(
                    reason=f"starts {most} s after {name!r} at most, but lag, way and what lies between "
                    f"take {least} s",
                    order_id=operation.order_id,
                    operation_id=operation.id,
                )


def _arcs(problem: Problem, units: Mapping[str, _Unit], unit_of: Mapping[str, str]) -> _Arcs:
    travel = problem.travel()
    arcs: dict[str, list[tuple[str, int]]] = {name: [] for name in units}
    for unit in units.values():
        for member in unit.members:
            for name in member.predecessors:
                before = units.get(unit_of.get(name, ""))
                if before is None:
                    continue
                if name in member.overlaps and before.run is None and unit.run is None:
                    continue  # it may start while that still runs
                ways = (travel.get((a.machine, b.machine), 0) for a in before.offered for b in unit.offered)
                arcs[unit.name].append((before.name, member.lags.get(name, 0) + min(ways, default=0)))
    for one, other in lease_order(problem):
        if one in unit_of and other in unit_of:
            arcs[unit_of[other]].append((unit_of[one], 0))
    return arcs


def _least_between(arcs: _Arcs, units: Mapping[str, _Unit], first: str, last: str) -> int:
    """Seconds from the end of ``first`` to the start of ``last`` at least; 0 where nothing leads there."""
    least: dict[str, int | None] = {first: 0}  # from the end of ``first`` to the *end* of each
    stack, on_the_way = [last], {last}
    while stack:
        name = stack[-1]
        unknown = [before for before, _ in arcs[name] if before not in least and before not in on_the_way]
        if unknown:  # a cycle does not come back here: what is on the way counts as nothing
            stack.append(unknown[0])
            on_the_way.add(unknown[0])
            continue
        stack.pop()
        ways = [done + wait for before, wait in arcs[name] if (done := least.get(before)) is not None]
        least[name] = max(ways) + units[name].shortest if ways else None
    reached = least[last]
    return reached - units[last].shortest if reached is not None else 0


# -- calendars --------------------------------------------------------------------------------------------


def fits_nowhere(problem: Problem) -> Iterator[ProblemError]:
    """Work that is longer than its machines ever work without a rest, as far as that is known.

    Over pauses interruptible work rests, so only the other windows end a stretch for it.
    """
    if problem.known_until is None:
        return
    until = problem.known_until
    stretches = {
        (machine.id, rests): _longest_stretch(machine, problem.now, until, rests)
        for machine in problem.machines
        for rests in (False, True)
    }
    for unit in _units(problem):
        rests = unit.interruptible
        known = [a for a in unit.offered if (a.machine, rests) in stretches]
        if not known or any(a.seconds <= stretches[a.machine, rests] for a in known):
            continue
        best = max(known, key=lambda a: stretches[a.machine, rests])
        advice = "split it" if rests else "split it, or say that it may be interrupted"
        name = f"run {unit.run.id!r} " if unit.run else ""
        yield ProblemError(
            reason=f"{name}takes {best.seconds} s, but {best.machine} never works longer than "
            f"{stretches[best.machine, rests]} s without a rest: {advice}",
            order_id="" if unit.run else unit.members[0].order_id,
            operation_id="" if unit.run else unit.members[0].id,
        )


def _longest_stretch(machine: Machine, now: int, until: int, rests: bool) -> int:
    """Seconds of work between two windows at most; where work ``rests`` over pauses, without those."""
    longest, worked, at = 0, 0, now
    for window in sorted(machine.unavailable, key=lambda w: (w.start, w.end)):
        worked += max(0, min(window.start, until) - at)
        longest = max(longest, worked)
        if not (rests and window.pause):
            worked = 0
        at = max(at, window.end)
    return max(longest, worked + max(0, until - at))

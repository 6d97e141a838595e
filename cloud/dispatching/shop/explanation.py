"""Why an operation starts when it does: the chain of what it waits for, back to something that does not wait.

Reads the problem and the plan only, so it explains any plan, whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from cloud.dispatching.shop.problem import Operation, Problem, State
from cloud.dispatching.shop.schedule import Assignment, Schedule
from cloud.dispatching.shop.shared_explanation import carried, scarce


class Cause(StrEnum):
    """What holds an operation back. The chain goes on behind the other work that the first seven name."""

    PREDECESSOR = "predecessor"
    PIECES = "pieces"
    """The first pieces of a predecessor that still runs meanwhile."""
    LAST_PIECES = "last_pieces"
    """It would be done before a predecessor that still runs has made the last pieces for it."""
    MACHINE = "machine"
    RESOURCE = "resource"
    """Heads of a crew or tools, which other work has."""
    VEHICLE = "vehicle"
    FOLLOWER = "follower"
    """What must follow it within a time cannot come sooner."""
    MAINTENANCE = "maintenance"
    UNAVAILABLE = "unavailable"
    EARLIEST = "earliest"
    LEASE = "lease"
    PIN = "pin"
    """A person decided when it starts."""
    FIXED = "fixed"
    NOW = "now"
    KEPT = "kept"
    """Nothing: it could start earlier, the plan leaves it where it is."""
    REST = "rest"
    """Not why it starts, but why it ends so late: it rests over breaks and nights on its way."""


class Link(Struct, frozen=True, kw_only=True):
    """``operation`` could not start before ``until`` because of ``cause``.

    ``other`` is the operation, maintenance or window behind it, ``seconds`` what passes between its end
    and ``until`` (lag and transport, or changeover; for *kept*: what it could start earlier). ``resource`` is
    what there is not enough of, by the name people know, ``pieces`` how many overlapping work waits for.

    Of *rest*, ``until`` is when the operation ends, ``seconds`` how long it rests, ``other`` over what.
    """

    operation: str
    cause: Cause
    until: int
    machine: str
    other: str = ""
    seconds: int = 0
    resource: str = ""
    pieces: int = 0

    @property
    def text(self) -> str:
        """One sentence without times; names as in the problem."""
        sentence = _SENTENCES[self.cause]
        if self.cause is Cause.RESOURCE and not self.other:
            sentence = "{operation} waits until there is more of {resource}"
        return sentence.format(
            operation=self.operation,
            machine=self.machine,
            other=self.other,
            extra=self._extra(),
            resource=self.resource,
            pieces="piece" if self.pieces == 1 else f"{self.pieces} pieces",
        )

    def _extra(self) -> str:
        if not self.seconds:
            return ""
        after = " and {0} s of transport or waiting time after it"
        words = {
            Cause.PREDECESSOR: after,
            Cause.PIECES: after,
            Cause.LAST_PIECES: after,
            Cause.KEPT: " (by {0} s)",
            Cause.REST: " for {0} s",
        }
        return words.get(self.cause, " and {0} s of changeover").format(self.seconds)


_SENTENCES = {
    Cause.PREDECESSOR: "{operation} waits for {other}{extra}",
    Cause.PIECES: "{operation} waits for the first {pieces} of {other}{extra}",
    Cause.LAST_PIECES: "{operation} starts so that its last {pieces} can follow the end of {other}{extra}",
    Cause.MACHINE: "{operation} waits for {machine}, because {other} runs there{extra}",
    Cause.RESOURCE: "{operation} waits for {resource}, because {other} needs it until then",
    Cause.VEHICLE: "{operation} waits for a vehicle that brings what {other} made",
    Cause.FOLLOWER: "{operation} could start earlier, but {other} must follow it in time and cannot",
    Cause.PIN: "{operation} is not to start earlier: {other} decided so",
    Cause.MAINTENANCE: "{operation} waits for {machine}, because of maintenance {other}{extra}",
    Cause.UNAVAILABLE: "{operation} waits for {machine}, because it is unavailable: {other}{extra}",
    Cause.EARLIEST: "{operation} may not start earlier",
    Cause.LEASE: "{operation} is held by its workstation from then on",
    Cause.FIXED: "{operation} is fixed on {machine}",
    Cause.NOW: "{operation} starts on {machine} at once{extra}",
    Cause.KEPT: "{operation} could start earlier{extra}; the plan leaves it where it is",
    Cause.REST: "{operation} rests over {other}{extra} before it ends",
}


_FOR_AN_END = (Cause.PREDECESSOR, Cause.LAST_PIECES, Cause.MACHINE, Cause.RESOURCE, Cause.VEHICLE)
_GOES_ON = (*_FOR_AN_END, Cause.PIECES, Cause.FOLLOWER)


class Explanation(Struct, frozen=True, kw_only=True):
    """The binding chain of one operation, from itself back to the origin of its waiting."""

    operation: str
    assignment: Assignment
    links: tuple[Link, ...]

    @property
    def text(self) -> str:
        return "; ".join(link.text for link in self.links)


def explain(problem: Problem, schedule: Schedule, operation: str) -> Explanation:
    """What ``operation`` waits for in ``schedule``, and what that waits for, and so on.

    Where its end matters, to the operation asked about and to what waits for an end, and it rests on its way,
    that comes first.

    Raises :class:`KeyError` for an operation that the plan does not have.
    """
    known = {o.id for o in problem.operations}
    links: list[Link] = []
    seen: set[str] = set()
    current: str | None = operation
    for_its_end = True
    while current is not None and current not in seen:
        seen.add(current)
        own = why(problem, schedule, current)
        link = own[-1]
        links += own if for_its_end else (link,)
        for_its_end = link.cause in _FOR_AN_END
        # A maintenance holds people and tools, too: the chain ends there.
        current = link.other if link.cause in _GOES_ON and link.other in known else None
    return Explanation(operation=operation, assignment=schedule.assignments[operation], links=tuple(links))


def why(problem: Problem, schedule: Schedule, operation: str) -> tuple[Link, ...]:
    """The first of the chain: that ``operation`` rests, if it does, and then what it waits for."""
    run = next((run for run in problem.runs if operation in run.operations), None)
    names = run.operations if run is not None else (operation,)
    found = {o.id: o for o in problem.operations if o.id in names}
    members = [found[name] for name in names]
    binding = _binding(problem, schedule, found[operation], members)
    if all(member.interruptible for member in members):
        return (*_resting(problem, operation, schedule.assignments[operation]), binding)
    return (binding,)


def _resting(problem: Problem, operation: str, planned: Assignment) -> Iterator[Link]:
    """The pauses that an operation lies on both sides of, as one link; none where it does not rest."""
    machine = next(m for m in problem.machines if m.id == planned.machine)
    pauses = sorted(
        (w for w in machine.unavailable if w.pause and planned.start < w.start and w.end < planned.end),
        key=lambda window: window.start,
    )
    seconds, over = 0, planned.start
    for window in pauses:
        seconds += max(0, window.end - max(over, window.start))
        over = max(over, window.end)
    if seconds:
        yield Link(
            operation=operation,
            cause=Cause.REST,
            until=planned.end,
            machine=planned.machine,
            other=", ".join(dict.fromkeys(window.reason or "a pause" for window in pauses)),
            seconds=seconds,
        )


def _binding(problem: Problem, schedule: Schedule, operation: Operation, members: list[Operation]) -> Link:
    """What holds ``operation`` (with its run's ``members``) back longest."""
    planned = schedule.assignments[operation.id]
    if operation.state is State.FIXED:
        return Link(operation=operation.id, cause=Cause.FIXED, until=planned.start, machine=planned.machine)
    binding = Link(
        operation=operation.id,
        cause=Cause.NOW,
        until=problem.now + planned.changeover_seconds,
        machine=planned.machine,
        seconds=planned.changeover_seconds,
    )
    for link in _causes(problem, schedule, operation, planned, members):
        if link.until > binding.until:
            binding = link
    if binding.until < planned.start:
        follower = _hurried(problem, schedule, members)
        if follower:
            return replace(binding, cause=Cause.FOLLOWER, until=planned.start, other=follower, seconds=0)
        return Link(
            operation=operation.id,
            cause=Cause.KEPT,
            until=planned.start,
            machine=planned.machine,
            seconds=planned.start - binding.until,
        )
    return binding


def _causes(
    problem: Problem, schedule: Schedule, operation: Operation, planned: Assignment, members: list[Operation]
) -> Iterator[Link]:
    def link(cause: Cause, until: int, other: str = "", seconds: int = 0) -> Link:
        return Link(
            operation=operation.id,
            cause=cause,
            until=until,
            machine=planned.machine,
            other=other,
            seconds=seconds,
        )

    travel = problem.travel()
    for member in members:
        for name in member.predecessors:
            before = schedule.assignments[name]
            wait = travel.get((before.machine, planned.machine), 0) + member.lags.get(name, 0)
            if name in member.overlaps and before.run is None and planned.run is None:
                found = link(Cause.PREDECESSOR, before.end + wait, name, wait)
                yield _overlapping(problem, found, before, planned, member)
            else:
                yield link(Cause.PREDECESSOR, before.end + wait, name, wait)
        yield link(Cause.EARLIEST, member.earliest)
        if member.state is State.FREE and member.pin is not None and member.pin.start is not None:
            yield link(Cause.PIN, member.pin.start, member.pin.by)
        if member.state is State.LEASED and member.start is not None:
            yield link(Cause.LEASE, member.start)
    changeover = planned.changeover_seconds
    free_by = planned.start - changeover
    own = {member.id for member in members}
    for name, other in schedule.assignments.items():
        if other.machine == planned.machine and other.end <= free_by and name not in own:
            yield link(Cause.MACHINE, other.end + changeover, name, changeover)
    for task in problem.maintenance:
        service = schedule.services.get(task.id)
        if service is not None and task.stops(planned.machine) and service.end <= free_by:
            yield link(Cause.MAINTENANCE, service.end + changeover, task.id, changeover)
    for scarcity in scarce(problem, schedule, members):
        found = link(Cause.RESOURCE, scarcity.until, scarcity.other)
        yield replace(found, resource=scarcity.resource)
    for trip in carried(schedule, problem, members):
        yield link(Cause.VEHICLE, trip.until, trip.other)
    machine = next(m for m in problem.machines if m.id == planned.machine)
    for window in machine.unavailable:
        if window.end <= free_by:
            yield link(
                Cause.UNAVAILABLE, window.end + changeover, window.reason or "no reason given", changeover
            )


def _overlapping(
    problem: Problem, found: Link, before: Assignment, planned: Assignment, member: Operation
) -> Link:
    """What binds overlapping work of the two: its first pieces must be done and on their way, and the last as
    many must still be worked on after the predecessor's end.
    """
    name, pieces = found.other, member.overlaps[found.other]
    whole = next(o.quantity for o in problem.operations if o.id == name)
    run = before.end - before.start - before.setup_seconds
    first, last = min(pieces, whole), min(pieces, member.quantity)
    started = before.start + before.setup_seconds + -(-run * first // whole)
    own = planned.end - planned.start - planned.setup_seconds
    finished = before.end + -(-own * last // member.quantity) - (planned.end - planned.start)
    if started >= finished:
        return replace(found, cause=Cause.PIECES, until=started + found.seconds, pieces=first)
    return replace(found, cause=Cause.LAST_PIECES, until=finished + found.seconds, pieces=last)


def _hurried(problem: Problem, schedule: Schedule, members: list[Operation]) -> str:
    """What must follow one of ``members`` within a time, and starts just at the end of it; else empty."""
    ends = {member.id: schedule.assignments[member.id].end for member in members}
    return next(
        (
            operation.id
            for operation in problem.operations
            for name, most in operation.max_lags.items()
            if name in ends and schedule.assignments[operation.id].start >= ends[name] + most
        ),
        "",
    )

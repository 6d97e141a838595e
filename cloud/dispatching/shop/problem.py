"""What is to be planned: machines, operations, runs and maintenance as frozen, solver-free data.

Time is whole seconds relative to ``Problem.origin`` (µs UTC); ids are strings and unique within their kind.
The classes say what is meant; ``validation`` refuses nonsense, all of it at once. Nothing here plans.

How a machine's time is read, by the planner and the validator alike:

- an operation occupies its machine from *start* to *end*: the alternative's own set-up, then the run;
- a *changeover* lies directly before the start, while the material may still be on its way; it is as long as
  the machine's rules say for the work directly before it (or for the machine's present set-up);
- neither work nor changeover may lie in a window in which the machine is unavailable, but interruptible work
  may rest over a window that is a ``pause``: it ends later by the length of it (a changeover never rests);
- a :class:`Run` covers several operations as one interval on one machine (a coating batch, a nested sheet);
- maintenance stops its machine, and those in ``also``; only its own must be available for it;
- work takes what its alternative ``needs`` of shared resources (:class:`Resource`) for as long as it has its
  machine, changeover included (fixed work: from its start on); a crew is free while the work rests, a tool
  is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct, field

MICROSECONDS = 1_000_000


class State(StrEnum):
    """How far the planner may still decide about an operation."""

    FREE = "free"
    """Machine and time are open."""
    LEASED = "leased"
    """An edge holds it: machine and order among the machine's leased work stay, time may only slip."""
    FIXED = "fixed"
    """A fact or a person's decision (in progress, frozen): machine, start and end are given."""


class Kind(StrEnum):
    """What a shared resource is."""

    CREW = "crew"
    """People with one skill: free while the work rests over a pause."""
    TOOL = "tool"
    """A fixture, a tool: stays with the work until it ends."""


class Window(Struct, frozen=True, kw_only=True):
    """From ``start`` up to, not including, ``end`` the machine cannot work; ``reason`` is shown to people.

    ``pause``: a break or a night, over which interruptible work may rest on the machine.
    """

    start: int
    end: int
    reason: str = ""
    pause: bool = False


class Level(Struct, frozen=True, kw_only=True):
    """From ``start`` up to, not including, ``end`` there are ``capacity`` of a resource."""

    start: int
    end: int
    capacity: int


class Resource(Struct, frozen=True, kw_only=True):
    """Something that machines share: heads with a skill, fixtures, tools.

    There are ``capacity`` of it, or what the ``levels`` say while they last (a shift with one head less);
    levels do not overlap. ``cost_per_hour`` is what one of it costs while it works (:class:`Costs`).
    """

    id: str
    capacity: int
    kind: Kind = Kind.CREW
    label: str = ""
    levels: tuple[Level, ...] = ()
    cost_per_hour: Decimal | None = None


class Vehicles(Struct, frozen=True, kw_only=True):
    """A limited number of AGVs: ``count``, or what the ``levels`` say while they last.

    A trip takes one for ``empty`` seconds before it sets out (to get there) and until it arrives. Each free
    or leased operation with a predecessor at another place has one trip for it, which sets out when the lag
    after the predecessor has passed. Pieces of overlapping work are carried without a vehicle.
    """

    count: int
    empty: int = 0
    levels: tuple[Level, ...] = ()


class Changeover(Struct, frozen=True, kw_only=True):
    """What a change of one set-up attribute costs a machine.

    ``pairs[before][after]`` where it is listed, else ``seconds`` between different values and nothing between
    equal ones. A missing attribute is the value ``""``, which is a value like any other.
    """

    attribute: str
    seconds: int = 0
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)

    def between(self, before: str, after: str) -> int:
        """Seconds from value ``before`` to value ``after``."""
        listed = self.pairs.get(before, {}).get(after)
        if listed is not None:
            return listed
        return 0 if before == after else self.seconds


class Machine(Struct, frozen=True, kw_only=True):
    """One resource that does one thing at a time.

    ``place`` is where material must be brought (default: the machine's own id), ``setup`` how the machine
    stands now; rules of several attributes add up. ``cost_per_hour`` is what its work and set-ups cost
    (:class:`Costs`), ``overtime`` when it works though the calendar rests.
    """

    id: str
    label: str = ""
    place: str = ""
    setup: dict[str, str] = field(default_factory=dict)
    changeovers: tuple[Changeover, ...] = ()
    unavailable: tuple[Window, ...] = ()
    cost_per_hour: Decimal | None = None
    overtime: tuple[Window, ...] = ()

    def changeover(self, before: Mapping[str, str], after: Mapping[str, str]) -> int:
        """Seconds of changeover on this machine when ``after`` directly follows ``before``."""
        return sum(
            rule.between(before.get(rule.attribute, ""), after.get(rule.attribute, ""))
            for rule in self.changeovers
        )


class Alternative(Struct, frozen=True, kw_only=True):
    """A machine that can do the work, how long it takes there, and how many of which resources."""

    machine: str
    run_seconds: int
    setup_seconds: int = 0
    needs: dict[str, int] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """From start to end: own set-up and run, without changeover."""
        return self.setup_seconds + self.run_seconds


class Pin(Struct, frozen=True, kw_only=True):
    """What a person decided about free work: its machine, the time before which it does not start, or both.

    Later than ``start`` it may begin, at the cost of :attr:`Weights.pinned`. ``by`` is who said so.
    """

    machine: str | None = None
    start: int | None = None
    by: str = ""


class Operation(Struct, frozen=True, kw_only=True):
    """One step of a job's routing.

    ``lags`` are seconds to let pass after a predecessor beside transport (paint must dry), ``max_lags`` the
    most that may pass between its end and this start, transport included (weld within 30 min); after a fixed
    predecessor that is a wish like a pinned time, for nothing can be done about facts. ``overlaps``
    are pieces of a predecessor after which this may start while that still runs: its first pieces are then
    done and on their way, and this ends no sooner than it can have worked on the last as many. ``quantity``
    is how many pieces a duration is spread over evenly; in a run nothing overlaps. Interruptible work may
    rest over pauses, a run if all of its operations may.

    ``due`` and
    ``weight`` belong to the job: it is late when its last operation ends after the latest ``due`` any of its
    operations names, with the largest weight any names. ``size`` is what it takes of a run's capacity.

    A leased operation names its ``machine`` and, as ``start``, the time before which it may not start. A
    fixed one names ``machine`` and ``start``; it ends ``remaining`` seconds after ``Problem.now``, or, where
    that is not given, after the alternative's duration but not before now.
    """

    id: str
    order_id: str
    job_id: str
    label: str = ""
    alternatives: tuple[Alternative, ...] = ()
    predecessors: tuple[str, ...] = ()
    lags: dict[str, int] = field(default_factory=dict)
    max_lags: dict[str, int] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    due: int | None = None
    weight: int = 1
    earliest: int = 0
    setup: dict[str, str] = field(default_factory=dict)
    size: int = 1
    quantity: int = 1
    interruptible: bool = False
    pin: Pin | None = None
    state: State = State.FREE
    machine: str | None = None
    start: int | None = None
    remaining: int | None = None

    def alternative(self, machine: str | None) -> Alternative | None:
        """The alternative on ``machine``, if there is one."""
        return next((a for a in self.alternatives if a.machine == machine), None)


class Run(Struct, frozen=True, kw_only=True):
    """Several operations executed as one: same machine, same start, same end.

    The run's alternatives and set-up replace those of its operations; states must agree.
    """

    id: str
    operations: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    setup: dict[str, str] = field(default_factory=dict)


class Maintenance(Struct, frozen=True, kw_only=True):
    """A service that should be finished on ``machine`` before the risk date ``finish_before``.

    The planner places it or leaves it out; leaving it out costs ``omit_cost`` weighted seconds of tardiness.
    The risk rises: each second that it ends after it could have ended first (``earliest`` + ``seconds``)
    costs ``delay_cost``, in units of the total cost.
    A service with a given time is a :class:`Window` of the machine.

    It takes what it ``needs`` of shared resources from its start to its end: it does not rest over pauses.
    The machines in ``also`` stand still meanwhile (they share the device), whether they would work or not.
    """

    id: str
    machine: str
    seconds: int
    finish_before: int
    earliest: int = 0
    omit_cost: int = 100_000
    delay_cost: int = 0
    label: str = ""
    needs: dict[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def stops(self, machine: str) -> bool:
        """Whether ``machine`` cannot work while it is done."""
        return machine == self.machine or machine in self.also


class Transport(Struct, frozen=True, kw_only=True):
    """Seconds from one place to another, in this direction only. Unlisted pairs take no time."""

    origin: str
    destination: str
    seconds: int


class Placement(Struct, frozen=True, kw_only=True):
    """Where and when the published plan has an operation."""

    machine: str
    start: int


class Weights(Struct, frozen=True, kw_only=True):
    """What a second costs, in the declared order of importance.

    Tardiness is multiplied by the job's weight. Deviation is a second by which an operation's start leaves
    the published plan; another machine counts as ``other_machine`` seconds more, and all of it ``leased``
    times for work an edge already holds. A second by which work starts after the time a person pinned it to
    counts ``pinned`` times.
    """

    tardiness: int = 1000
    changeover: int = 100
    deviation: int = 8
    makespan: int = 1
    other_machine: int = 1800
    leased: int = 2
    pinned: int = 100


class Costs(Struct, frozen=True, kw_only=True):
    """What a plan costs in ``currency`` (ISO 4217: ``EUR``): told to people, no part of the objective.

    In a machine's ``overtime`` an hour of it and of what its work needs costs ``overtime_percent`` more. An
    hour that an order is late by the clock costs ``late_per_hour``, times its weight.
    """

    currency: str
    overtime_percent: Decimal | None = None
    late_per_hour: Decimal | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """Everything the planner knows. ``now`` is seconds after ``origin``; nothing free starts before it.

    ``known_until`` is until when the machines' windows are known, if that is not for ever: work that fits
    nowhere before is nonsense.
    """

    origin: int
    now: int
    machines: tuple[Machine, ...]
    operations: tuple[Operation, ...]
    runs: tuple[Run, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    transports: tuple[Transport, ...] = ()
    resources: tuple[Resource, ...] = ()
    vehicles: Vehicles | None = None
    known_until: int | None = None
    published: dict[str, Placement] = field(default_factory=dict)
    weights: Weights = Weights()
    costs: Costs | None = None

    def utc(self, seconds: int) -> int:
        """µs UTC of a planned time."""
        return self.origin + seconds * MICROSECONDS

    def seconds(self, utc: int) -> int:
        """Planned time of µs UTC, rounded down to the second."""
        return (utc - self.origin) // MICROSECONDS

    def travel(self) -> dict[tuple[str, str], int]:
        """Seconds of transport by (from machine, to machine); pairs that take none are left out."""
        by_place = {(t.origin, t.destination): t.seconds for t in self.transports}
        places = {m.id: m.place or m.id for m in self.machines}
        return {
            (one, other): seconds
            for one, origin in places.items()
            for other, destination in places.items()
            if origin != destination and (seconds := by_place.get((origin, destination), 0))
        }

    def end_of_fixed(self, operation: Operation) -> int:
        """When a fixed operation ends: now + remaining, or start + duration, but not before now if begun."""
        start = operation.start if operation.start is not None else self.now
        if operation.remaining is not None:
            return max(start, self.now) + operation.remaining
        alternative = operation.alternative(operation.machine)
        end = start + (alternative.seconds if alternative else 0)
        return max(end, self.now) if start <= self.now else end

    def lease_rank(self, operation: Operation) -> int:
        """Where a leased operation stands in its machine's order: its published start, else its own."""
        placement = self.published.get(operation.id)
        if placement is not None:
            return placement.start
        return operation.start if operation.start is not None else self.now


def lease_order(problem: Problem) -> list[tuple[str, str]]:
    """Pairs (before, after) of leased operations that directly follow each other on their machine.

    Operations of one run stand side by side and make no pair.
    """
    run_of = {name: run.id for run in problem.runs for name in run.operations}
    queues: dict[str, list[tuple[int, int, Operation]]] = {}
    for position, operation in enumerate(problem.operations):
        if operation.state is State.LEASED and operation.machine is not None:
            queue = queues.setdefault(operation.machine, [])
            queue.append((problem.lease_rank(operation), position, operation))
    pairs: list[tuple[str, str]] = []
    for queue in queues.values():
        queue.sort(key=lambda entry: entry[:2])
        seen: set[str] = set()
        chain: list[Operation] = []
        for _, _, operation in queue:
            run = run_of.get(operation.id)
            if run is None or run not in seen:
                chain.append(operation)
            if run is not None:
                seen.add(run)
        pairs.extend((one.id, other.id) for one, other in pairwise(chain))
    return pairs

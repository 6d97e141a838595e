"""The problem as the planner works on it: numbered machines and activities.

An *activity* is what is decided once: a lone operation or a run. Fixed work is no activity; it becomes busy
time on its machine (:class:`Block`) and earliest starts of what waits for it. The validator uses none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from cloud.dispatching.shop.problem import Kind, Level, Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, Service, Status, Trip, evaluate


@dataclass(frozen=True, slots=True)
class Block:
    """Time a machine cannot give: a window, or fixed work, which also leaves a set-up behind.

    Over a ``pause`` interruptible work may rest.
    """

    start: int
    end: int
    enter: int = -1
    """Set-up state the fixed work needs; −1 for a window."""
    leave: int = -1
    begun: bool = False
    """In progress, so changed over already."""
    pause: bool = False

    @property
    def is_work(self) -> bool:
        return self.enter >= 0


@dataclass(frozen=True, slots=True)
class Fact:
    """Fixed work on a machine, as the problem states it."""

    start: int
    end: int
    id: str
    state: int
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Station:
    """A machine: its set-up states are numbered, ``changeover[before][after]`` is in seconds."""

    index: int
    id: str
    state: int
    changeover: list[list[int]]
    blocks: tuple[Block, ...]
    """In order of time, none overlapping."""
    facts: tuple[Fact, ...] = ()

    @property
    def has_changeovers(self) -> bool:
        return any(any(row) for row in self.changeover)


@dataclass(frozen=True, slots=True)
class Option:
    """One machine for an activity; ``release`` is the earliest start there whatever else is decided.

    ``needs`` are (pool, amount), taken from the begin of the changeover to the end.
    """

    station: int
    seconds: int
    setup_seconds: int
    release: int
    state: int
    needs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """``count`` seconds of deviation for every second away from ``start``; ``station`` as published."""

    station: int
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """How an activity overlaps one before it, in seconds.

    ``first[i]``: from the start of the one before, on its option *i*, until its first pieces are done;
    ``last[j]``: how long this one, on its option *j*, lasts at least after the last of them have arrived.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Haul:
    """Material that ``operation`` needs from ``predecessor``: from activity ``before``, or, where that is −1,
    from fixed work at ``station`` that ends at ``end``. It takes a trip if the places differ.

    A trip sets out ``lag`` seconds after the end at the earliest.
    """

    operation: str
    predecessor: str
    lag: int
    before: int = -1
    station: int = -1
    end: int = 0


@dataclass(slots=True)
class Activity:
    """An operation or a run; ``before`` and ``after`` hold (activity, lag in seconds).

    Of what is in ``before``, ``most`` says how long after its end the start may lie at most (by activity),
    and ``overlaps`` which may still run at the start. ``hauls`` are there where vehicles are limited.
    ``pins`` are (start, cost of each second after it).
    """

    index: int
    id: str
    run: str | None
    operations: tuple[str, ...]
    options: tuple[Option, ...]
    leased: bool
    wishes: tuple[Wish, ...]
    before: list[tuple[int, int]] = field(default_factory=list)
    after: list[tuple[int, int]] = field(default_factory=list)
    interruptible: bool = False
    pins: tuple[tuple[int, int], ...] = ()
    most: dict[int, int] = field(default_factory=dict)
    overlaps: dict[int, Overlap] = field(default_factory=dict)
    hauls: list[Haul] = field(default_factory=list)
    rank: int = -1
    """Position among the activities of its machine that keep their order; −1 if it may go anywhere."""


@dataclass(frozen=True, slots=True)
class Job:
    """Activities that must all end; ``end`` is when its fixed work ends.

    In a part of a shop ``tails`` are (source, seconds): the job ends that long after the source at least.
    """

    id: str
    due: int | None
    weight: int
    activities: tuple[int, ...]
    end: int
    tails: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where paths leave a part of a shop: the end of an activity, or a station when all its work there is
    done and it is changed over to ``state``. The other of the two is −1."""

    activity: int = -1
    station: int = -1
    state: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """Maintenance that may still be placed."""

    id: str
    station: int
    seconds: int
    earliest: int
    finish_before: int
    omit_cost: int
    delay_cost: int = 0
    needs: tuple[tuple[int, int], ...] = ()
    """(pool, amount), from its start to its end."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A shared resource: how much there is when, and what fixed work takes of it: (start, end, amount).

    A machine that stands still for the maintenance of another is one too: there is one of it, which takes
    who works there, and who stops it.
    """

    index: int
    id: str
    kind: Kind
    capacity: int
    levels: tuple[Level, ...]
    taken: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    """A decision: which option of the activity (its position), changeover and start."""

    option: int
    changeover: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shop:
    """The compiled problem. ``travel[from station][to station]`` in seconds; ``fixed`` is decided already."""

    problem: Problem
    stations: tuple[Station, ...]
    activities: tuple[Activity, ...]
    jobs: tuple[Job, ...]
    tasks: tuple[Task, ...]
    travel: list[list[int]]
    has_travel: bool
    fixed: Mapping[str, Assignment]
    order: tuple[int, ...]
    """Activities so that each comes after everything it waits for."""
    settled_end: int
    """When everything that is settled has ended."""
    sources: tuple[Source, ...] = ()
    closing: tuple[tuple[int, int], ...] = ()
    """In a part of a shop: the plan ends (source, seconds) later at least."""
    pools: tuple[Pool, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether machines, routings, windows, changeovers, maintenance and wishes are all there is to it."""
        return (
            not self.pools
            and self.problem.vehicles is None
            and not any(task.delay_cost for task in self.tasks)
            and not any(a.interruptible or a.most or a.overlaps or a.pins for a in self.activities)
        )

    def wait(self, lag: int, one: int, other: int) -> int:
        """Seconds between the end at station ``one`` and the start at station ``other``."""
        return lag + self.travel[one][other] if self.has_travel else lag

    def spots(self, schedule: Schedule) -> list[Spot]:
        """The decisions of a valid plan, by activity."""
        number = {station.id: station.index for station in self.stations}
        result = []
        for activity in self.activities:
            a = schedule.assignments[activity.operations[0]]
            station = number[a.machine]
            option = next(at for at, option in enumerate(activity.options) if option.station == station)
            result.append(Spot(option, a.changeover_seconds, a.start, a.end))
        return result

    def schedule(
        self,
        spots: Sequence[Spot],
        services: Mapping[str, Service],
        status: Status,
        bound: float | None = None,
        trips: Sequence[Trip] = (),
    ) -> Schedule:
        """The plan that ``spots`` (one for each activity) describe."""
        assignments = dict(self.fixed)
        sequences: dict[int, list[tuple[int, int, int]]] = {}
        for activity, spot in zip(self.activities, spots, strict=True):
            option = activity.options[spot.option]
            assignment = Assignment(
                machine=self.stations[option.station].id,
                start=spot.start,
                end=spot.end,
                setup_seconds=option.setup_seconds,
                changeover_seconds=spot.changeover,
                run=activity.run,
            )
            for name in activity.operations:
                assignments[name] = assignment
            sequences.setdefault(option.station, []).append((spot.start, spot.end, option.state))
        for station in self.stations:
            if station.has_changeovers and station.facts:
                self._change_over_to_facts(station, sequences.get(station.index, []), assignments)
        return Schedule(
            assignments={operation.id: assignments[operation.id] for operation in self.problem.operations},
            services=dict(services),
            trips=tuple(trips),
            objective=evaluate(self.problem, assignments, services),
            status=status,
            bound=bound,
        )

    def _change_over_to_facts(
        self,
        station: Station,
        sequence: list[tuple[int, int, int]],
        assignments: dict[str, Assignment],
    ) -> None:
        """Note before frozen work the changeover it needs after whatever now runs before it."""
        stays: list[tuple[int, int, int, Fact | None]] = [(s, e, state, None) for s, e, state in sequence]
        stays += [(fact.start, fact.end, fact.state, fact) for fact in station.facts]
        stays.sort(key=lambda stay: (stay[0], stay[1], stay[3].id if stay[3] else ""))
        state, free_from, after_free = station.state, self.problem.now, False
        for start, end, own, fact in stays:
            if fact is not None and start > self.problem.now:
                seconds = station.changeover[state][own]
                if not after_free:
                    seconds = max(0, min(seconds, start - max(self.problem.now, free_from)))
                for name in fact.operations:
                    assignments[name] = replace(assignments[name], changeover_seconds=seconds)
            state, free_from, after_free = own, end, fact is None

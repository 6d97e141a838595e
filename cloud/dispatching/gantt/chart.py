"""What a Gantt chart shows of a plan: rows, bars and ticks, in seconds and row numbers; no drawing yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from cloud.dispatching.shop.explanation import why
from cloud.dispatching.shop.problem import Machine, Operation, Problem
from cloud.dispatching.shop.schedule import Assignment, Schedule, jobs
from cloud.dispatching.shop.shared_violations import interruptible, pauses_of

EXPLAINED = 300
"""Operations up to which each bar says what its work waits for: the effort grows with their square."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
CLOCK_STEPS = (
    MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 7 * DAY,
    14 * DAY, 28 * DAY, 91 * DAY, 365 * DAY,
)  # fmt: skip
"""Distances of ticks where times have a date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(StrEnum):
    """What a bar stands for."""

    WORK = "work"
    REST = "rest"
    """Interruptible work over a pause of its machine."""
    TRIP = "trip"
    """A vehicle on its way with material; limited vehicles have rows of their own."""
    CHANGEOVER = "changeover"
    UNAVAILABLE = "unavailable"
    SERVICE = "service"


class Bar(Struct, frozen=True, kw_only=True):
    """Something on a machine from ``start`` to ``end``; ``order`` numbers the colour of work, ``note`` is all
    there is to say of it, a line each."""

    row: int
    start: int
    end: int
    kind: Kind
    label: str = ""
    order: int = -1
    late: bool = False
    note: str = ""


class Tick(Struct, frozen=True, kw_only=True):
    """A mark on the time axis."""

    at: int
    label: str


class Chart(Struct, frozen=True, kw_only=True):
    """All of a chart; bars that lie below others come first."""

    title: str
    rows: tuple[str, ...]
    orders: tuple[str, ...]
    start: int
    end: int
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


def chart(problem: Problem, schedule: Schedule, title: str = "") -> Chart:
    """The chart of a plan that has every operation of ``problem``."""
    assignments = schedule.assignments
    start = min([problem.now, *(a.occupied_from for a in assignments.values())])
    ends = [a.end for a in assignments.values()] + [s.end for s in schedule.services.values()]
    trips = list(_trips(problem, schedule))
    end = max([start + 1, *ends])
    orders = tuple(dict.fromkeys(o.order_id for o in problem.operations))
    bars = [
        *_unavailable(problem, start, end),
        *_work(problem, schedule, {name: number for number, name in enumerate(orders)}),
        *_rests(problem, schedule),
        *_services(problem, schedule),
        *trips,
    ]
    lanes = 1 + max((bar.row for bar in trips), default=len(problem.machines) - 1) - len(problem.machines)
    return Chart(
        title=title,
        rows=(
            *(_name(machine) for machine in problem.machines),
            *(f"vehicle {number + 1}" for number in range(lanes)),
        ),
        orders=orders,
        start=start,
        end=end,
        bars=tuple(bars),
        ticks=tuple(ticks(start, end, problem.origin)),
    )


def _name(machine: Machine) -> str:
    return machine.label or machine.id


def _unavailable(problem: Problem, start: int, end: int) -> Iterator[Bar]:
    for row, machine in enumerate(problem.machines):
        for window in machine.unavailable:
            left, right = max(start, window.start), min(end, window.end)
            if left < right:
                span = _span(problem, window.start, window.end)
                note = f"{_name(machine)} unavailable {window.reason}".rstrip() + f"\n{span}"
                yield Bar(row=row, start=left, end=right, kind=Kind.UNAVAILABLE, note=note)


def _work(problem: Problem, schedule: Schedule, number: dict[str, int]) -> Iterator[Bar]:
    row = {machine.id: index for index, machine in enumerate(problem.machines)}
    finishes = jobs(problem, schedule.assignments)
    together: dict[tuple[str, str], list[Operation]] = {}
    for operation in problem.operations:
        run = schedule.assignments[operation.id].run
        together.setdefault(("run", run) if run is not None else ("", operation.id), []).append(operation)
    for (_, name), members in together.items():
        first = members[0]
        a = schedule.assignments[first.id]
        if a.machine not in row:
            continue
        if a.changeover_seconds:
            note = f"changeover before {name}\n{_span(problem, a.occupied_from, a.start)}"
            yield Bar(row=row[a.machine], start=a.occupied_from, end=a.start, kind=Kind.CHANGEOVER, note=note)
        late = [m for m in members if (f := finishes[m.job_id]).late and f.end == a.end]
        yield Bar(
            row=row[a.machine],
            start=a.start,
            end=a.end,
            kind=Kind.WORK,
            label=(first.label or first.id) if len(members) == 1 else name,
            order=number[first.order_id],
            late=bool(late),
            note=_note(problem, schedule, a, members) + "".join(
                f"\n{m.job_id} late by {_duration(finishes[m.job_id].late)}" for m in late
            ),
        )  # fmt: skip


def _rests(problem: Problem, schedule: Schedule) -> Iterator[Bar]:
    """Pauses that work lies on both sides of; a run rests once."""
    row = {machine.id: index for index, machine in enumerate(problem.machines)}
    pauses = {machine.id: pauses_of(machine) for machine in problem.machines}
    seen: set[tuple[str, int]] = set()
    for name in sorted(interruptible(problem)):
        a = schedule.assignments[name]
        for start, end in pauses.get(a.machine, ()):
            if a.start < start and end < a.end and (a.machine, start) not in seen:
                seen.add((a.machine, start))
                note = f"{a.run or name} rests\n{_span(problem, start, end)}"
                yield Bar(row=row[a.machine], start=start, end=end, kind=Kind.REST, note=note)


def _trips(problem: Problem, schedule: Schedule) -> Iterator[Bar]:
    """Trips in rows below the machines: each by the first vehicle that is there in time."""
    if problem.vehicles is None:
        return
    free: list[int] = []
    for trip in sorted(schedule.trips, key=lambda trip: (trip.start, trip.end)):
        since = trip.start - problem.vehicles.empty
        lane = next((number for number, end in enumerate(free) if end <= since), len(free))
        free[lane : lane + 1] = [trip.end]
        note = (
            f"{trip.predecessor} to {trip.operation}, {problem.vehicles.empty} s empty before\n"
            f"{_span(problem, trip.start, trip.end)}"
        )
        yield Bar(row=len(problem.machines) + lane, start=trip.start, end=trip.end, kind=Kind.TRIP, note=note)


def _note(problem: Problem, schedule: Schedule, a: Assignment, members: list[Operation]) -> str:
    lines = [f"{m.label} ({m.id}), order {m.order_id}" if m.label else f"{m.id}, order {m.order_id}"
             for m in members]  # fmt: skip
    lines.append(f"{a.machine}: {_span(problem, a.start, a.end)}")
    if a.setup_seconds:
        lines.append(f"of it set-up {_duration(a.setup_seconds)}")
    if len(problem.operations) <= EXPLAINED:
        lines += [link.text for link in why(problem, schedule, members[0].id)]
    return "\n".join(lines)


def _services(problem: Problem, schedule: Schedule) -> Iterator[Bar]:
    row = {machine.id: index for index, machine in enumerate(problem.machines)}
    tasks = {task.id: task for task in problem.maintenance}
    for name, s in schedule.services.items():
        label = tasks[name].label or name if name in tasks else name
        note = f"maintenance {label}\n{_span(problem, s.start, s.end)}"
        for machine in (s.machine, *(tasks[name].also if name in tasks else ())):
            if machine not in row:
                continue
            yield Bar(row=row[machine], start=s.start, end=s.end, kind=Kind.SERVICE, label=label, note=note)


def ticks(start: int, end: int, origin: int, most: int = 12) -> Iterator[Tick]:
    """Ten marks or so at round times: of the clock in UTC where ``origin`` (µs) is a date, else numbers."""
    offset = origin // 1_000_000
    step = _step(end - start, most, bool(origin))
    at = -(-(start + offset) // step) * step
    while at - offset <= end:
        if origin:
            moment = _EPOCH + timedelta(seconds=at)
            label = f"{moment:%m-%d}" if step >= DAY else f"{moment:%m-%d %H:%M}"
        else:
            label = str(at)
        yield Tick(at=at - offset, label=label)
        at += step


def _step(span: int, most: int, dated: bool) -> int:
    if dated:
        return next((s for s in CLOCK_STEPS if span <= s * most), -(-span // most))
    step = 1
    while span > step * most:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2  # 1, 2, 5, 10, …
    return step


def _span(problem: Problem, start: int, end: int) -> str:
    if not problem.origin:
        return f"{start} to {end} ({end - start})"
    one, other = (_EPOCH + timedelta(microseconds=problem.utc(at)) for at in (start, end))
    until = f"{other:%H:%M:%S}" if one.date() == other.date() else f"{other:%Y-%m-%d %H:%M:%S}"
    return f"{one:%Y-%m-%d %H:%M:%S} to {until} ({_duration(end - start)})"


def _duration(seconds: int) -> str:
    """``2 h 05 min``, ``3 min 20 s``, ``45 s``."""
    if seconds >= HOUR:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE:02} min"
    if seconds >= MINUTE:
        return f"{seconds // MINUTE} min {seconds % MINUTE:02} s"
    return f"{seconds} s"

"""From the shop floor to the planner's problem. Pure: the same floor always gives the same problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from cloud.dispatching.floor import ActiveRun, Floor, OpenOperation, effective_lease, just_returned
from cloud.dispatching.group import GroupRule, Lasts, group
from cloud.dispatching.problem import (
    Alternative,
    Changeover,
    Machine,
    Maintenance,
    Operation,
    Placement,
    Problem,
    Run,
    State,
    Transport,
    Weights,
    Window,
)
from cloud.dispatching.settings import DispatchSettings
from protocols.calendar import longest_stretch, resting
from protocols.site import Site, Workcell
from protocols.values import MICROSECONDS

DUE_WITHIN = 7 * 86_400
"""Seconds by which due dates within one run may differ; waiting is bounded by ``ready_within``."""
OVERRUN = 10
"""Work that takes longer than planned is expected to need a tenth of its duration more."""


class Wish(msgspec.Struct, frozen=True):
    """A maintenance that wants doing at a workcell before a time (µs UTC)."""

    id: str
    workcell: str
    seconds: int
    finish_before: int
    label: str = ""


def build(
    floor: Floor,
    site: Site,
    settings: DispatchSettings,
    wishes: Sequence[Wish] = (),
    *,
    keep_order: bool = True,
    origin: int | None = None,
) -> Problem:
    """The problem to plan now, with nests and batches grouped.

    Operations whose kind no workcell has are left out, with everything behind them. ``keep_order`` False
    keeps leased operations at their workcells, but frees their order there. ``origin`` is where its times
    count from, so that it can be compared with another problem: not after anything planned or begun.
    """
    return _Builder(floor, site, settings, keep_order, origin).problem(wishes)


def unplannable(floor: Floor, site: Site) -> list[OpenOperation]:
    """Open operations that no workcell of the site can do, because its file was changed meanwhile."""
    kinds = {cell.kind for cell in site.workcells().values()}
    return [operation for operation in floor.operations if operation.kind not in kinds]


def plannable(floor: Floor, site: Site) -> list[OpenOperation]:
    """Open operations without those that nobody here can do and what waits for them; work in hand stays."""
    in_hand = {name for run in floor.runs if run.workcell in site.workcells() for name in run.operations}
    out = {operation.id for operation in unplannable(floor, site)} - in_hand
    grown = bool(out)
    while grown:
        behind = {o.id for o in floor.operations if out & set(o.predecessors)} - out - in_hand
        out |= behind
        grown = bool(behind)
    return [operation for operation in floor.operations if operation.id not in out]


class _Builder:
    def __init__(
        self,
        floor: Floor,
        site: Site,
        settings: DispatchSettings,
        keep_order: bool,
        origin: int | None = None,
    ) -> None:
        self.floor = floor
        self.site = site
        self.settings = settings
        self.keep_order = keep_order
        self.cells = site.workcells()
        self.by_kind: dict[str, list[Workcell]] = {}
        for cell in self.cells.values():
            self.by_kind.setdefault(cell.kind, []).append(cell)
        self.run_of = {
            name: run for run in floor.runs if run.workcell in self.cells for name in run.operations
        }
        self.work = {operation.id: operation for operation in plannable(floor, site)}
        starts = [run.opened for run in floor.runs]
        starts += [floor.planned[name].start for name in self.work if name in floor.planned]
        origin = min([floor.now, *starts]) if origin is None else origin
        self.origin = origin - origin % MICROSECONDS
        self.now = -((self.origin - floor.now) // MICROSECONDS)

    def problem(self, wishes: Sequence[Wish]) -> Problem:
        operations = tuple(self._operation(work) for work in self.work.values())
        problem = Problem(
            origin=self.origin,
            now=self.now,
            machines=tuple(self._machine(cell) for cell in self.cells.values()),
            operations=operations,
            runs=tuple(self._runs({operation.id: operation for operation in operations})),
            maintenance=tuple(self._maintenance(wish) for wish in wishes if wish.workcell in self.cells),
            transports=tuple(self._transports()),
            published={
                name: Placement(machine=planned.workcell, start=self._seconds(planned.start))
                for name, planned in self.floor.planned.items()
                if name in self.work and self._binds(name, planned.workcell)
            },
            weights=Weights(other_machine=self._usual_seconds()),
        )
        return group(problem, tuple(self._group_rules()))

    def _binds(self, name: str, workcell: str) -> bool:
        """Whether it costs to leave the published plan: not where that plan cannot be kept anyway."""
        if workcell not in self.cells:
            return False
        return workcell not in self.floor.down or effective_lease(self.floor, name) is not None

    def _usual_seconds(self) -> int:
        """Half of what an operation usually takes: what moving one to another machine counts as."""
        seconds = sorted(work.run_seconds for work in self.work.values())
        return max(1, seconds[len(seconds) // 2] // 2) if seconds else 1

    def _seconds(self, utc: int) -> int:
        return (utc - self.origin) // MICROSECONDS

    # --- machines -----------------------------------------------------------------------------------

    def _machine(self, cell: Workcell) -> Machine:
        return Machine(
            id=cell.id,
            label=cell.title,
            setup=self.floor.setups.get(cell.id, {}),
            changeovers=tuple(
                Changeover(attribute=name, seconds=seconds) for name, seconds in cell.changeover.items()
            ),
            unavailable=tuple(self._windows(cell)),
        )

    def _windows(self, cell: Workcell) -> Iterable[Window]:
        now = self.floor.now
        end = now + self.settings.calendar_days * 86_400 * MICROSECONDS
        for span in resting(self.site.calendar, now, end):
            first, last = self._seconds(span.start), self._seconds(span.end)
            if last > first:
                yield Window(start=first, end=last, reason="no shift")
        down = self.floor.down.get(cell.id)
        if down is not None:
            until = max(self._seconds(down.expected), self.now + 1)
            yield Window(start=min(self._seconds(down.since), self.now), end=until, reason=down.reason)

    def _transports(self) -> Iterable[Transport]:
        for origin in self.cells:
            for destination in self.cells:
                seconds = self._travel(origin, destination)
                if seconds:
                    yield Transport(origin=origin, destination=destination, seconds=seconds)

    def _travel(self, origin: str, destination: str) -> int:
        if origin == destination:
            return 0
        transport = self.site.transport
        return transport.seconds.get(f"{origin}>{destination}", transport.default)

    def _maintenance(self, wish: Wish) -> Maintenance:
        return Maintenance(
            id=wish.id,
            machine=wish.workcell,
            seconds=wish.seconds,
            finish_before=self._seconds(wish.finish_before),
            label=wish.label,
        )

    # --- operations ---------------------------------------------------------------------------------

    def _operation(self, work: OpenOperation) -> Operation:
        run = self.run_of.get(work.id)
        lease = effective_lease(self.floor, work.id)
        state, machine, start, remaining = State.FREE, None, None, None
        alternatives = self._alternatives(work)
        if run is not None:
            state, machine, start = State.FIXED, run.workcell, self._seconds(run.opened)
            remaining = self._remaining(run)
        elif lease is not None and any(a.machine == lease.workcell for a in alternatives):
            if self.keep_order:
                state, machine, start = State.LEASED, lease.workcell, self.now
            else:
                alternatives = tuple(a for a in alternatives if a.machine == lease.workcell)
        return Operation(
            id=work.id,
            order_id=work.order,
            job_id=work.job,
            label=work.title,
            alternatives=alternatives,
            predecessors=tuple(name for name in work.predecessors if name in self.work),
            due=self._seconds(work.due),
            weight=work.weight,
            earliest=self._earliest(work, alternatives),
            setup=work.setup,
            state=state,
            machine=machine,
            start=start,
            remaining=remaining,
        )

    def _alternatives(self, work: OpenOperation) -> tuple[Alternative, ...]:
        setup = round(work.setup_seconds)
        cells = self.by_kind.get(work.kind, [])
        if just_returned(self.floor, work.id):
            # Asked back from a machine that is down, it does not go there again while another is up.
            cells = [cell for cell in cells if cell.id not in self.floor.down] or cells
        return tuple(
            Alternative(machine=cell.id, run_seconds=work.run_seconds, setup_seconds=setup) for cell in cells
        )

    def _earliest(self, work: OpenOperation, alternatives: tuple[Alternative, ...]) -> int:
        """When the material of finished predecessors is there, on the way to the nearest workcell."""
        earliest = self.now
        for name in work.predecessors:
            before = self.floor.finished.get(name)
            if before is not None:
                ways = [self._travel(before.workcell, a.machine) for a in alternatives]
                earliest = max(earliest, self._seconds(before.at) + min(ways, default=0))
        return earliest

    def _remaining(self, run: ActiveRun) -> int:
        """Seconds that a run in hand still takes: by what is booked, else by the time it has taken."""
        parts = [self.work[name] for name in run.operations if name in self.work]
        cell = self.cells[run.workcell]
        each = [round(o.seconds_per_run + o.seconds_per_piece * o.quantity) for o in parts]
        total = (sum(each) if cell.run != "batch" else max(each, default=0)) or 1
        setup = max((round(o.setup_seconds) for o in parts), default=0)
        worked = run.worked_us(self.floor.now) // MICROSECONDS
        left = round(total * (1 - run.done)) if run.done else setup + total - worked
        down = self.floor.down.get(run.workcell)
        repair = max(0, self._seconds(down.expected) - self.now) if down is not None else 0
        return max(left, total // OVERRUN, 1) + repair

    # --- runs ---------------------------------------------------------------------------------------

    def _runs(self, operations: dict[str, Operation]) -> Iterable[Run]:
        """Runs in hand, and planned runs that an edge holds; the rest is grouped anew."""
        for active in self.floor.runs:
            members = tuple(name for name in active.operations if self.run_of.get(name) is active)
            members = tuple(name for name in members if name in operations)
            if len(members) > 1:
                yield Run(id=f"{active.id}!", operations=members, alternatives=())
        held: dict[tuple[str, str], list[Operation]] = {}
        for operation in operations.values():
            lease = self.floor.leases.get(operation.id)
            if operation.state is State.LEASED and lease is not None and lease.group:
                held.setdefault((lease.workcell, lease.group), []).append(operation)
        for (workcell, name), members_held in held.items():
            if len(members_held) > 1:
                yield self._held_run(name, workcell, members_held)

    def _held_run(self, name: str, workcell: str, members: list[Operation]) -> Run:
        offered = [a for o in members if (a := o.alternative(workcell)) is not None]
        seconds = [a.run_seconds for a in offered]
        lasts: Callable[[list[int]], int] = max if self.cells[workcell].run == "batch" else sum
        alternative = Alternative(
            machine=workcell,
            run_seconds=lasts(seconds),
            setup_seconds=max(a.setup_seconds for a in offered),
        )
        common = {
            key: value
            for key, value in members[0].setup.items()
            if all(other.setup.get(key) == value for other in members)
        }
        return Run(
            id=name, operations=tuple(o.id for o in members), alternatives=(alternative,), setup=common
        )

    def _group_rules(self) -> Iterable[GroupRule]:
        for kind, cells in self.by_kind.items():
            together = [cell for cell in cells if cell.run != "single" and cell.capacity > 1]
            if not together or len(together) < len(cells):
                continue
            work = [o for o in self.work.values() if o.kind == kind]
            attributes = sorted({name for o in work for name in o.setup})
            longest = max((o.run_seconds for o in work), default=0)
            capacity = min(cell.capacity for cell in cells)
            batch = all(cell.run == "batch" for cell in cells)
            if not batch and longest and (shift := longest_stretch(self.site.calendar)) is not None:
                capacity = max(1, min(capacity, shift // longest))  # a run must fit into a shift
            yield GroupRule(
                machines=tuple(cell.id for cell in cells),
                match=tuple(attributes),
                capacity=capacity,
                due_within=DUE_WITHIN,
                ready_within=longest,  # nobody waits for company longer than the run itself takes
                lasts=Lasts.LONGEST if batch else Lasts.SUM,
            )

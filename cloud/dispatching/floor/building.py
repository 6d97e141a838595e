"""From the shop floor to the planner's problem. Pure: the same floor always gives the same problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from cloud.dispatching.floor.availability import Availability
from cloud.dispatching.floor.decisions import Kind as DecisionKind
from cloud.dispatching.floor.floor import ActiveRun, Floor, OpenOperation, effective_lease, just_returned
from cloud.dispatching.floor.group import GroupRule, Lasts, group
from cloud.dispatching.floor.outages import expected
from cloud.dispatching.floor.plannable import plannable
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.levels import Taken, left
from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Costs,
    Machine,
    Maintenance,
    Operation,
    Pin,
    Placement,
    Problem,
    Resource,
    Run,
    State,
    Transport,
    Weights,
    Window,
)
from cloud.dispatching.shop.validation import validate
from cloud.orders.routing import Link
from protocols.calendar import longest_stretch
from protocols.site import Site, Workcell
from protocols.values import MICROSECONDS

DUE_WITHIN = 7 * 86_400
"""Seconds by which due dates within one run may differ; waiting is bounded by ``ready_within``."""
OMITTED = 100_000
"""Weighted seconds of tardiness that leaving out a maintenance costs, for a weight of one."""
OVERRUN = 10
"""Work that takes longer than planned is expected to need a tenth of its duration more."""


class Wish(msgspec.Struct, frozen=True):
    """A maintenance that wants doing at a workcell before a time, not before ``earliest`` (µs UTC).

    ``fixed``: a person said when it begins. To wait costs ``weight`` times as much as usual. ``revision``
    grows with every change of it, so that a plan knows which one it heeds.

    ``needs`` are heads of a skill and tools while it lasts; ``also`` are the other workcells of its machine,
    which stand still with it.
    """

    id: str
    workcell: str
    seconds: int
    finish_before: int
    label: str = ""
    earliest: int = 0
    fixed: int | None = None
    weight: int = 1
    revision: int = 0
    needs: dict[str, int] = {}
    also: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What a plan remembers of it: the id, and which revision where it was changed."""
        return f"{self.id}#{self.revision}" if self.revision else self.id


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
        self.available = Availability(floor, site, settings.calendar_days, self.origin)
        self.shared = site.shared()
        self.held = {operation.id: operation.held for operation in self.work.values() if operation.held}
        self.pins = {d.operation: d for d in floor.decisions if d.kind is DecisionKind.PIN}
        self.services: dict[str, list[Window]] = {}
        self.taken: dict[str, list[Taken]] = {}

    def problem(self, wishes: Sequence[Wish]) -> Problem:
        operations = tuple(self._operation(work) for work in self.work.values())
        for wish in wishes:
            if wish.fixed is not None:
                self._fix(wish, wish.fixed)
        problem = Problem(
            origin=self.origin,
            now=self.now,
            machines=tuple(self._machine(cell) for cell in self.cells.values()),
            operations=operations,
            runs=tuple(self._runs({operation.id: operation for operation in operations})),
            maintenance=tuple(
                self._maintenance(wish)
                for wish in wishes
                if wish.workcell in self.cells and wish.fixed is None
            ),
            transports=tuple(self._transports()),
            resources=tuple(self._resources()),
            vehicles=self.available.vehicles(),
            published={
                name: Placement(machine=planned.workcell, start=self._seconds(planned.start))
                for name, planned in self.floor.planned.items()
                if name in self.work and self._binds(name, planned.workcell)
            },
            weights=Weights(deviation=self.settings.stability, other_machine=self._usual_seconds()),
            costs=self._costs(),
        )
        return self._grouped(problem)

    def _grouped(self, problem: Problem) -> Problem:
        """Runs are made without regard to longest waits: where one cannot be kept in them, it stays alone."""
        rules = tuple(self._group_rules())
        together = {
            name: planned.group
            for name, planned in self.floor.planned.items()
            if planned.group and name not in self.held
        }
        grouped = group(problem, rules, together=together)
        hurried = [operation for operation in problem.operations if operation.max_lags]
        if hurried and validate(grouped):
            apart = {operation.id for operation in hurried}.union(*(o.max_lags for o in hurried))
            grouped = group(problem, rules, apart, together)
        return grouped

    def _binds(self, name: str, workcell: str) -> bool:
        """Whether it costs to leave the published plan: not where that plan cannot be kept anyway."""
        if workcell not in self.cells:
            return False
        return workcell not in self.floor.down or effective_lease(self.floor, name) is not None

    def _usual_seconds(self) -> int:
        """Half of what an operation usually takes: what moving one to another machine counts as."""
        seconds = sorted(work.run_seconds for work in self.work.values())
        return max(1, seconds[len(seconds) // 2] // 2) if seconds else 1

    def _costs(self) -> Costs | None:
        said = self.site.costs
        return None if said is None else Costs(**said.model_dump())

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
            unavailable=(*self.available.windows(cell), *self.services.get(cell.id, ())),
            cost_per_hour=cell.cost_per_hour,
            overtime=tuple(self.available.overtime(cell)),
        )

    def _transports(self) -> Iterable[Transport]:
        for origin in self.cells:
            for destination in self.cells:
                seconds = self.site.transport.between(origin, destination)
                if seconds:
                    yield Transport(origin=origin, destination=destination, seconds=seconds)

    def _maintenance(self, wish: Wish) -> Maintenance:
        return Maintenance(
            id=wish.id,
            machine=wish.workcell,
            seconds=wish.seconds,
            finish_before=self._seconds(wish.finish_before),
            earliest=max(0, self._seconds(wish.earliest)),
            omit_cost=OMITTED * wish.weight,
            delay_cost=self.settings.service_delay_cost * wish.weight,
            label=wish.label,
            needs=self._upkeep_needs(wish),
            also=tuple(name for name in wish.also if name in self.cells),
        )

    def _fix(self, wish: Wish, start: int) -> None:
        """A maintenance at a given time: the machine is not there, nor are who does it and their tools. Once
        that time is over it waits for people, and the plan no longer for them.
        """
        first, last = self._seconds(start), self._seconds(start) + wish.seconds
        if last <= self.now:
            return
        for cell in (wish.workcell, *wish.also):
            window = Window(start=first, end=last, reason=f"maintenance: {wish.label}")
            self.services.setdefault(cell, []).append(window)
        for name, count in self._upkeep_needs(wish).items():
            self.taken.setdefault(name, []).append((first, last, count))

    def _upkeep_needs(self, wish: Wish) -> dict[str, int]:
        """What a maintenance takes of what the site has. An order may be older than the site file: it takes
        no more than there ever is, or nobody would ever do it.
        """
        return {name: min(n, self.shared[name]) for name, n in wish.needs.items() if self.shared.get(name)}

    def _resources(self) -> Iterator[Resource]:
        for resource in self.available.resources():
            taken = self.taken.get(resource.id)
            if taken:
                levels = left(resource.capacity, resource.levels, taken)
                resource = replace(resource, levels=levels)
            yield resource

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
            if self.keep_order and work.held is None:  # what waits for a decision lets others pass
                state, machine, start = State.LEASED, lease.workcell, self._not_before(work)
            else:
                alternatives = tuple(a for a in alternatives if a.machine == lease.workcell)
        return Operation(
            id=work.id,
            order_id=work.order,
            job_id=work.job,
            label=work.title,
            alternatives=alternatives,
            predecessors=tuple(dict.fromkeys(name for name in work.predecessors if name in self.work)),
            due=self._seconds(work.due),
            weight=work.weight,
            lags=self._lags(work),
            max_lags=self._max_lags(work),
            overlaps=self._overlaps(work),
            earliest=self._earliest(work, alternatives),
            setup=work.setup,
            quantity=self._pieces(work),
            interruptible=work.interruptible,
            pin=self._pin(work, alternatives) if state is State.FREE else None,
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
            Alternative(
                machine=cell.id,
                run_seconds=work.run_seconds,
                setup_seconds=setup,
                needs={name: n for name, n in {**cell.needs, **work.needs}.items() if name in self.shared},
            )
            for cell in cells
        )

    def _earliest(self, work: OpenOperation, alternatives: tuple[Alternative, ...]) -> int:
        """When material is there: what was ordered, and of finished predecessors at the nearest workcell. A
        lot on hold is expected when decisions usually have been made.
        """
        earliest = self.now
        if work.material_at is not None:
            earliest = max(earliest, self._seconds(work.material_at))
        if work.held is not None:
            usual = self.settings.hold_seconds * MICROSECONDS
            earliest = max(earliest, self._seconds(expected(work.held.since, usual, self.floor.now)))
        for name in work.predecessors:
            before = self.floor.finished.get(name)
            if before is not None:
                ways = [self.site.transport.between(before.workcell, a.machine) for a in alternatives]
                lag = work.links.get(name, Link()).at_least
                earliest = max(earliest, self._seconds(before.at) + lag + min(ways, default=0))
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
        left = max(left, total // OVERRUN, 1)
        if parts and all(o.interruptible for o in parts):
            left += self.available.resting_seconds(cell, left)
        return left + repair

    # --- how operations follow each other -----------------------------------------------------------

    def _linked(self, work: OpenOperation) -> Iterator[tuple[str, Link]]:
        """Predecessors that are still to be done, and how it follows them."""
        yield from ((n, work.links[n]) for n in work.predecessors if n in self.work and n in work.links)

    def _lags(self, work: OpenOperation) -> dict[str, int]:
        return {name: link.at_least for name, link in self._linked(work) if link.at_least}

    def _max_lags(self, work: OpenOperation) -> dict[str, int]:
        """Longest waits. What cannot be is not asked for: less than the way takes, or what lies between."""
        found: dict[str, int] = {}
        for name, link in self._linked(work):
            others = [other for other in work.predecessors if other != name and other in self.work]
            if link.at_most is not None and not any(self._leads(name, other) for other in others):
                ways = [
                    self.site.transport.between(origin, destination)
                    for origin in self._places(self.work[name])
                    for destination in self._places(work)
                ]
                found[name] = max(link.at_most, link.at_least + max(ways, default=0))
        return found

    def _leads(self, name: str, to: str) -> bool:
        """Whether work ``to`` waits for ``name``, be it by way of others."""
        seen, todo = {to}, [to]
        while todo:
            before = [p for p in self.work[todo.pop()].predecessors if p in self.work and p not in seen]
            seen.update(before)
            todo += before
            if name in before:
                return True
        return False

    def _places(self, work: OpenOperation) -> list[str]:
        """Workcells at which it may be done."""
        run, lease = self.run_of.get(work.id), effective_lease(self.floor, work.id)
        if run is not None:
            return [run.workcell]
        cells = [cell.id for cell in self.by_kind.get(work.kind, [])]
        return [lease.workcell] if lease is not None and lease.workcell in cells else cells

    def _overlaps(self, work: OpenOperation) -> dict[str, int]:
        """Pieces of predecessors after which it may start. Of those that rest nobody can count pieces."""
        found: dict[str, int] = {}
        for name, link in self._linked(work):
            before = self.work[name]
            if link.pieces and not (work.interruptible or before.interruptible):
                made = 0 if name in self.run_of else int(before.made)
                found[name] = min(max(1, link.pieces - made), self._pieces(before))
        return found

    def _pieces(self, work: OpenOperation) -> int:
        """Pieces that its time is spread over: a run in hand has all of them, others what is left."""
        return max(1, math.ceil(work.quantity if work.id in self.run_of else work.left))

    # --- what people decided ------------------------------------------------------------------------

    def _not_before(self, work: OpenOperation) -> int:
        """When somebody wants it to begin; now where nobody has said so, or the time has passed."""
        decision = self.pins.get(work.id)
        start = decision.start if decision is not None else None
        return self.now if start is None else max(self.now, self._seconds(start))

    def _pin(self, work: OpenOperation, alternatives: tuple[Alternative, ...]) -> Pin | None:
        decision = self.pins.get(work.id)
        if decision is None:
            return self._hurry(work, alternatives)
        offered = any(a.machine == decision.workcell for a in alternatives)
        machine = decision.workcell if offered else None
        start = self._not_before(work)
        if machine is None and start <= self.now:
            return None
        return Pin(machine=machine, start=start if start > self.now else None, by=decision.actor)

    def _hurry(self, work: OpenOperation, alternatives: tuple[Alternative, ...]) -> Pin | None:
        """What must follow a finished step within a time is wanted as soon as it can be.

        Not at machines that gather work to runs: a pinned operation joins none.
        """
        waits = [n for n, link in work.links.items() if link.at_most is not None and n in self.floor.finished]
        if not waits or any(cell.run != "single" for cell in self.by_kind.get(work.kind, [])):
            return None
        return Pin(start=self._earliest(work, alternatives))

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
            needs={name: max(a.needs.get(name, 0) for a in offered) for a in offered for name in a.needs},
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

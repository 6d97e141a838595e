"""One run of the spindle bench: weeks of a shop whose machining centre wears, minute by minute.

The machine is the virtual factory's own physics. People do what the plan says: they take the next operation,
begin the maintenance order when it is due, and mend what has failed.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import msgspec

from cloud.dispatching.floor.floor import OpenOperation
from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.prognosis import Prognosis
from cloud.store.database import Database
from drivers.virtual.factory import CENTRE_TAGS, CHARACTERS, MACHINE_TAGS
from drivers.virtual.machining import Bearing, MachiningCentre
from drivers.virtual.physics import State
from protocols import actions as did
from protocols.calendar import working
from protocols.lifecycles import CaseState
from protocols.states import ItemState
from protocols.values import MICROSECONDS, Value
from tests.bench.spindle_shop import HOUR, MILL, MONDAY, UNPLANNED_HOURS, Shop

MINUTE = 60 * MICROSECONDS
TICK = 10
"""Minutes between two looks of the office."""
NIGHT = 15
"""The same while nobody is there."""
BOUND_EVERY = 4 * HOUR
SHOWN_EVERY = 2
"""Minutes between two values of the machine's tags: what a deadband leaves of them."""
LIFE = 60.0
"""Median hours of work of a bearing: about a week of this shop, so that every run sees its end."""
ORDERS_A_DAY = 10.0
MATERIALS = {"ST": 5, "AL": 3, "SS": 2}
FOLDER = Path("/dev/shm")
"""Where the databases of the runs are, if there is such a place: nothing in them is worth a disk."""
ITEM_STATES = {State.RUNNING: ItemState.EXECUTING, State.FAULT: ItemState.OUT_OF_SERVICE}
KINDS = {MILL: "mill", "pack-1": "pack"}


class Suspicion(msgspec.Struct):
    """A case as it came about. ``worked`` and ``used`` are hours the bearing had worked at the opening and
    when it was exchanged; times are µs UTC, 0 for what did not happen. ``pitted``: there was a pit.
    """

    life: int
    opened: int
    worked: float
    pitted: bool
    vibration: float
    first_tag: str
    prognosis: Prognosis | None
    dates: tuple[int | None, int | None, int | None] = (None, None, None)
    bound: int = 0
    window: tuple[int, int] = (0, 0)
    """Of its order in the plan, when it was begun."""
    begun: int = 0
    used: float = 0.0
    verdict: str = ""
    learned_anew: bool = False


class Failure(msgspec.Struct):
    """An unplanned stop, at ``at`` µs UTC after so many hours of the bearing's work."""

    life: int
    worked: float
    at: int


class Outcome(msgspec.Struct):
    """What a run came to; hours are those in which the shop works."""

    seed: int
    maintained: bool
    failures: list[Failure] = []
    cases: list[Suspicion] = []
    planned_hours: float = 0.0
    """Hours that the machine stood for its maintenance …"""
    unplanned_hours: float = 0.0
    """… and because it had failed."""
    worked_hours: float = 0.0
    shift_hours: float = 0.0
    orders: int = 0
    late: int = 0
    late_hours: float = 0.0
    plans: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Work:
    """What a workcell has in hand; ``ready`` and ``ends`` in µs UTC, ``parts`` as the counter was."""

    operation: OpenOperation
    run: str
    ready: int
    ends: int = 0
    parts: int = 0
    begun: bool = False


@dataclass(slots=True)
class Run:
    """``weeks`` of the shop with one seed; ``maintained``: somebody heeds the machine's health."""

    seed: int
    weeks: int
    maintained: bool
    shop: Shop
    machine: MachiningCentre = field(init=False)
    outcome: Outcome = field(init=False)
    _shifts: list[tuple[int, int]] = field(init=False)
    _work: dict[str, Work] = field(default_factory=dict, init=False)
    _done: set[str] = field(default_factory=set, init=False)
    _due: dict[str, int] = field(default_factory=dict, init=False)
    """By open order."""
    _news: str = field(default="", init=False)
    _state: ItemState = field(default=ItemState.NOT_AVAILABLE, init=False)
    _mended: int = field(default=0, init=False)
    """When the failed machine will be mended; 0 while it is well."""
    _served: int = field(default=0, init=False)
    """When its maintenance will be done; 0 while there is none in work."""
    _case: Case | None = field(default=None, init=False)
    _looked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        character = replace(CHARACTERS["virtual/mill"], repair_seconds=1e12, micro_stops_per_hour=0)
        dice = random.Random(f"{self.seed}:machine")
        bearing = Bearing(life=LIFE)
        self.machine = MachiningCentre(
            character, dice, temperature=21.0, bearing=bearing, seed=str(self.seed)
        )
        self.outcome = Outcome(self.seed, self.maintained)
        end = MONDAY + self.weeks * 7 * 24 * HOUR
        self._shifts = [(span.start, span.end) for span in working(self.shop.site.calendar, MONDAY, end)]

    async def go(self) -> Outcome:
        """Let the weeks go by."""
        watching = asyncio.create_task(self._watch(), name="health") if self.maintained else None
        try:
            while watching is not None and self.shop.asset not in self.shop.health.assets:  # noqa: ASYNC110 - it says when it is ready
                await asyncio.sleep(0.001)
            arrivals = orders(self.seed, self._shifts)
            now, end = MONDAY, MONDAY + self.weeks * 7 * 24 * HOUR
            self._note(now)
            while now < end:
                now = await self._tick(now, arrivals)
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        late = [due for due in self._due.values() if due < end]
        self.outcome.late += len(late)
        self.outcome.late_hours += sum(end - due for due in late) / HOUR
        return self.outcome

    async def _watch(self) -> None:
        await self.shop.health.run()

    # --- time -------------------------------------------------------------------------------------------

    def _open(self, now: int) -> bool:
        while self._shifts and self._shifts[0][1] <= now:
            self._shifts.pop(0)
        return bool(self._shifts) and self._shifts[0][0] <= now

    async def _tick(self, now: int, arrivals: dict[int, list[Ordered]]) -> int:
        """A few minutes of the shop, then a look of the office; when the next tick begins."""
        shop, opened = self.shop, self._open(now)
        shop.now = now
        # A tick of the night may begin before a shift and end in it.
        for wanted in [each for start in sorted(arrivals) if start <= now for each in arrivals.pop(start)]:
            order = shop.order(wanted.quantity, wanted.material, wanted.pockets, wanted.due)
            self._due[order] = wanted.due
            self.outcome.orders += 1
            self._news = "order"
        if opened:
            await self._mend(now)
            self._plan()
        rows = []
        if not opened and self.machine.state is not State.RUNNING:
            minutes = NIGHT if now > MONDAY + HOUR else TICK  # nothing is late while the service starts
            self.machine.advance(minutes * 60)
            rows.append((now + minutes * MINUTE, self._shown()))
        else:
            minutes = TICK
            for minute in range(TICK):
                self._minute(now + minute * MINUTE, opened)
                if (minute + 1) % SHOWN_EVERY == 0 and self.maintained:
                    rows.append((now + (minute + 1) * MINUTE, self._shown()))
        shop.now = now + minutes * MINUTE
        if self.maintained:
            await shop.samples(rows)
            if opened:
                await self._office(shop.now)
        return shop.now

    def _shown(self) -> dict[str, Value]:
        """What the machine shows on its protocol."""
        machine = self.machine
        return {
            name: MACHINE_TAGS[name](machine, machine.rng)
            if name in MACHINE_TAGS
            else CENTRE_TAGS[name](machine)
            for name in self.shop.tags
        }

    def _minute(self, now: int, opened: bool) -> None:
        self.shop.now = now
        if not (self._mended or self._served):
            self._station(MILL, now, opened)
        self._station("pack-1", now, opened)
        self._note(now)
        self.machine.advance(60)
        self._note(now + MINUTE)
        if opened:
            self.outcome.shift_hours += 1 / 60
            self.outcome.unplanned_hours += bool(self._mended) / 60
            self.outcome.planned_hours += bool(self._served) / 60
        self.outcome.worked_hours += (self.machine.state is State.RUNNING) / 60

    def _note(self, ts: int) -> None:
        """A state of the machine that is another one now; its failure."""
        state = ITEM_STATES.get(self.machine.state, ItemState.NOT_EXECUTING)
        if state is self._state:
            return
        self._state = state
        self.shop.is_in(ts, state, self.machine.alarm)
        if state is ItemState.OUT_OF_SERVICE:
            self.outcome.failures.append(Failure(self.machine.lives, self.machine.worked, ts))
            self._mended = ts + int(UNPLANNED_HOURS * HOUR)
            self._news = "machine"
            if (work := self._work.get(MILL)) is not None:
                self.shop.acts(MILL, "K7", did.RunPaused(work.run, "machine fault"))

    def _plan(self) -> None:
        if self._news:
            self.shop.replan(self._news)
            self.outcome.plans += 1
            self._news = ""

    # --- at the stations --------------------------------------------------------------------------------

    def _station(self, cell: str, now: int, opened: bool) -> None:
        work = self._work.get(cell)
        if work is None:
            if opened:
                self._take(cell, now)
        elif not work.begun:
            if now >= work.ready:
                self._start(cell, work, now)
        elif self.machine.parts - work.parts >= work.operation.quantity if cell == MILL else now >= work.ends:
            self._finish(cell, work, now)

    def _take(self, cell: str, now: int) -> None:
        """The next operation of the plan, or the maintenance order where that comes first."""
        waiting = [
            (self.shop.plan[name].start, name)
            for name, operation in self.shop.open.items()
            if name in self.shop.plan
            and self.shop.plan[name].workcell == cell
            and name not in self._done
            and self._done.issuperset(operation.predecessors)
        ]
        start, name = min(waiting, default=(0, ""))
        if cell == MILL and self.shop.services and self._case is not None:
            service = self.shop.services[0]
            if service.start <= now:
                self._begin_maintenance(self._case, now)
                return
            if not name or service.start <= start:
                return
        if not name:
            return
        operation = self.shop.open[name]
        seconds = float(operation.setup_seconds) + self.shop.plan[name].changeover_seconds
        run = f"run-{name}"
        part = did.RunPart(name, operation.quantity)
        self.shop.acts(cell, "K7", did.RunOpened(run, (part,)))
        self._work[cell] = Work(operation, run, now + round(seconds * MICROSECONDS))

    def _start(self, cell: str, work: Work, now: int) -> None:
        operation = work.operation
        real = random.Random(f"{self.seed}:{operation.id}").uniform(0.85, 1.2)
        work.begun, work.parts = True, self.machine.parts
        if cell == MILL:
            seconds = float(operation.seconds_per_piece) * real
            self.machine.press("start", f"{operation.setup['fixture']}-PLATE", seconds)
        else:
            work.ends = now + round(operation.run_seconds * real * MICROSECONDS)

    def _finish(self, cell: str, work: Work, now: int) -> None:
        operation = work.operation
        if cell == MILL:
            self.machine.press("stop")
        booked = did.Booked(work.run, operation.id, good=Decimal(operation.quantity))
        self.shop.acts(cell, "K7", booked, did.RunCompleted(work.run, (operation.id,)))
        self._done.add(operation.id)
        del self._work[cell]
        if cell != MILL:
            due = self._due.pop(operation.order)
            self.outcome.late += now > due
            self.outcome.late_hours += max(0, now - due) / HOUR

    # --- maintenance ------------------------------------------------------------------------------------

    async def _office(self, now: int) -> None:
        """Somebody looks at the cases: a new one becomes an order, a planned one gets a better bound."""
        if self._case is None:
            self._case = await self.shop.suspected()
            if self._case is None:
                return
            self.outcome.cases.append(self._suspicion(self._case))
        if self._case.state is CaseState.OPEN:
            self.shop.plan_case(self._case)
            self._case = self.shop.in_hand()
            self._news, self._looked = "maintenance", now
        elif self._case.state is CaseState.PLANNED and now - self._looked >= BOUND_EVERY:
            self._looked = now
            if await self.shop.foresee_again():
                self._case = self.shop.in_hand()
                self._news = "maintenance"

    def _suspicion(self, case: Case) -> Suspicion:
        machine = self.machine
        with self.shop.database.read() as tx:
            life = self.shop.cases.life(tx, case)
        return Suspicion(
            life=machine.lives,
            opened=case.opened,
            worked=machine.worked,
            pitted=machine.pitted,
            vibration=machine.vibration,
            first_tag=case.evidence[0].tag if case.evidence else "",
            prognosis=life.prognosis if life is not None else None,
            dates=(life.lower_at, life.median_at, life.upper_at) if life is not None else (None, None, None),
        )

    def _begin_maintenance(self, case: Case, now: int) -> None:
        self.shop.begin_maintenance(case)
        (service,) = self.shop.services
        known = self.outcome.cases[-1]
        if case.order is not None:
            known.bound = case.order.bound
            self._served = now + case.order.duration
        known.window, known.begun = (service.start, service.end), now
        self._case = self.shop.in_hand()

    async def _mend(self, now: int) -> None:
        """The machine is given back, after its maintenance or after its failure."""
        if self._served and now >= self._served and self._case is not None:
            self._served = 0
            self._exchanged()
            found = "pit in the outer race" if self.machine.pitted else "runs smoothly, nothing to be seen"
            verdict = Verdict.TRUE if self.machine.pitted else Verdict.FALSE_ALARM
            self._judged(await self.shop.end_maintenance(self._case, verdict, found))
            self.machine.repair()
            self._news = "machine"
        if self._mended and now >= self._mended:
            self._mended = 0
            if self._case is not None:
                self._exchanged()
                self._judged(await self.shop.broken(self._case, "bearing destroyed"))
            self.machine.repair()
            self._note(now)
            if (work := self._work.get(MILL)) is not None:
                self.shop.acts(MILL, "K7", did.RunResumed(work.run))
                if work.begun:
                    self.machine.press("start")
            self._news = "machine"

    def _exchanged(self) -> None:
        self.outcome.cases[-1].used = self.machine.worked

    def _judged(self, closed: Case) -> None:
        known = self.outcome.cases[-1]
        known.verdict = str(closed.verdict)
        since = self.shop.health.assets[self.shop.asset].since
        known.learned_anew = since >= closed.opened
        self._case = None


class Ordered(msgspec.Struct, frozen=True):
    """What a customer wants; ``due`` in µs UTC."""

    quantity: int
    material: str
    pockets: int
    due: int


def orders(seed: int, shifts: list[tuple[int, int]]) -> dict[int, list[Ordered]]:
    """Orders by the morning on which they are there; the same for every run of a seed. They are due at the
    end of the third to the seventh shift.
    """
    dice = random.Random(f"{seed}:orders")
    found: dict[int, list[Ordered]] = {}
    halves = [*_halves(shifts)]
    for number, (start, _) in enumerate(shifts[:-1]):
        for _ in range(_poisson(dice, ORDERS_A_DAY)):
            (material,) = dice.choices([*MATERIALS], [*MATERIALS.values()])
            due = halves[min(len(halves) - 1, 2 * number + dice.randint(2, 6))][1]
            wanted = Ordered(dice.randint(2, 8), material, dice.randint(1, 6), due)
            found.setdefault(start, []).append(wanted)
    return found


def _halves(days: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for start, end in days:
        middle = (start + end) // 2
        yield start, middle
        yield middle, end


def _poisson(dice: random.Random, mean: float) -> int:
    count, left = 0, dice.expovariate(1.0)
    while left < mean:
        count += 1
        left += dice.expovariate(1.0)
    return count


def run(seed: int, weeks: int, maintained: bool) -> Outcome:
    """One run in this process."""
    folder = FOLDER if FOLDER.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="spindle", dir=folder) as place,
        Database(f"sqlite:///{place}/cloud.db") as database,
    ):
        shop = Shop(database)
        shop.prepare()
        return asyncio.run(Run(seed, weeks, maintained, shop).go())

"""The simulated floor: machines, lots and clocks as they really are, and what of it is reported.

A discrete-event simulation. An operation begins when people work, its machine is free and up, its material
is there and, by nominal times, it will end before the shift does; what takes longer is finished all the same.
A breakdown stops the work in hand, which goes on after the repair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from typing import Protocol

from cloud.dispatching.shop.problem import Operation
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.history import Done, History
from cloud.dispatching.simulation.world import Order, World


@dataclass(frozen=True, slots=True)
class Choice:
    """Begin ``operation``; with ``prepare`` only change the machine over for it."""

    operation: str
    prepare: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave the machine idle and ask again at ``until``, or when something is heard."""

    until: int | None = None


NOTHING = Wait()


class Policy(Protocol):
    """A way of dispatching. It knows the board and nothing else."""

    def begin(self, board: Board, history: History) -> None:
        """The simulation starts."""

    def arrived(self, order: Order, now: int) -> None:
        """An order came in; it is on the board."""

    def finished(self, order: Order, now: int) -> None:
        """An order is known to be finished."""

    def settle(self, now: int) -> int | None:
        """Everything that is heard at ``now`` is on the board. Answers when to be asked again, if so."""

    def promise(self, order: Order, now: int) -> int:
        """The date the customer is told; asked once, after the policy has settled."""

    def choose(self, machine: str, setup: Mapping[str, str], now: int) -> Choice | Wait:
        """``machine`` is free: what next? ``setup`` is how it stands."""


class Kind(IntEnum):
    """Events; at the same time, the smaller number first."""

    END = 0
    REPAIR = 1
    BREAKDOWN = 2
    CHECK = 3
    ARRIVAL = 4
    LOOK = 5


@dataclass(slots=True)
class _Work:
    """What a machine has in hand."""

    operation: Operation
    taken: int
    start: int
    end: int
    prepare: bool
    stopped: int = 0


@dataclass(slots=True)
class _Bay:
    """A machine as it is."""

    setup: Mapping[str, str]
    work: _Work | None = None
    down: bool = False


@dataclass(frozen=True, slots=True)
class _Fact:
    """What a scan tells."""

    operation: Operation
    machine: str
    at: int
    ended: bool


class Execution:
    """One run of a world under one policy; :meth:`run` may be called once."""

    def __init__(self, world: World, policy: Policy) -> None:
        self.world = world
        self.policy = policy
        self.board = Board(world)
        self.history = History(world)
        self.bays = {machine.id: _Bay(machine.setup) for machine in world.machines}
        self.events: list[tuple[int, int, int, object]] = []
        self.unheard: list[_Fact] = []
        self.begun: set[str] = set()
        self.left = sum(len(order.operations) for order in world.orders)
        self.new: list[Order] = []
        self._count = 0
        self._looks: set[int] = set()

    def run(self, stop: Callable[[], bool] = lambda: False) -> History | None:
        """Let everything happen until the last order is finished; None if ``stop`` said so before."""
        for order in self.world.orders:
            self._push(order.arrival, Kind.ARRIVAL, order)
        for machine, spans in self.world.breakdowns.items():
            for down, up in spans:
                self._push(down, Kind.BREAKDOWN, (machine, down, up))
                self._push(up, Kind.REPAIR, machine)
        self._look_at(self.world.shifts.opening(0))
        self.policy.begin(self.board, self.history)
        while self.left:
            if stop():
                return None
            now = self.events[0][0]
            while self.events and self.events[0][0] == now:
                _, kind, _, what = heappop(self.events)
                self._happen(Kind(kind), what, now)
            self._settle(now)
            closing = now
            if self.world.shifts.is_open(now):
                self._dispatch(now)
                closing = self.world.shifts.closing(now)
            self._look_at(self.world.shifts.opening(closing))
        return self.history

    def _push(self, time: int, kind: Kind, what: object) -> None:
        self._count += 1
        heappush(self.events, (time, int(kind), self._count, what))

    def _look_at(self, time: int) -> None:
        if time not in self._looks:
            self._looks.add(time)
            self._push(time, Kind.LOOK, None)

    # --- what happens -------------------------------------------------------------------------------

    def _happen(self, kind: Kind, what: object, now: int) -> None:
        match kind, what:
            case Kind.ARRIVAL, Order() as order:
                self.board.take_in(order)
                self.new.append(order)
                self.policy.arrived(order, now)
            case Kind.END, (str(machine), _Work() as work):
                if self.bays[machine].work is work and work.end == now:
                    self._end(machine, work)
            case Kind.BREAKDOWN, (str(machine), int(down), int(up)):
                self._break(machine, down, up)
            case Kind.REPAIR, str(machine):
                self.bays[machine].down = False
                self.board.resume(machine, now)
            case Kind.CHECK, _Fact() as fact:
                if fact in self.unheard:
                    self._reveal(fact.operation.order_id, "", now)
            case _:
                pass  # a look: the time has come to ask

    def _break(self, machine: str, down: int, up: int) -> None:
        bay = self.bays[machine]
        bay.down = True
        self.board.stop(machine, down)
        work = bay.work
        if work is not None:
            if work.start > down:
                work.start += up - down
            work.end += up - down
            work.stopped += up - down
            self._push(work.end, Kind.END, (machine, work))

    def _end(self, machine: str, work: _Work) -> None:
        self.bays[machine].work = None
        if work.prepare:
            self.board.changing.pop(machine, None)
        done = Done(work.operation.id, machine, work.taken, work.start, work.end, work.stopped, work.prepare)
        self.history.done.append(done)
        if not work.prepare:
            self.left -= 1
            self._scan(_Fact(work.operation, machine, work.end, ended=True))

    # --- what is heard of it ------------------------------------------------------------------------

    def _scan(self, fact: _Fact) -> None:
        """A scan tells of itself and of what was not heard of its order and its machine before."""
        if self.world.unheard(fact.operation.id, "end" if fact.ended else "start"):
            self.unheard.append(fact)
            check = self.world.shifts.after(fact.at, self.world.chance.check_seconds)
            self._push(check, Kind.CHECK, fact)
            return
        self._reveal(fact.operation.order_id, fact.machine, fact.at)
        self._tell(fact, fact.at)

    def _reveal(self, order: str, machine: str, now: int) -> None:
        known = [f for f in self.unheard if f.operation.order_id == order or f.machine == machine]
        if known:
            self.unheard = [f for f in self.unheard if f not in known]
            for fact in known:
                self._tell(fact, now)

    def _tell(self, fact: _Fact, now: int) -> None:
        operation = fact.operation
        if not fact.ended:
            self.board.begin(operation, fact.machine, fact.at)
            return
        order = self.board.orders[operation.order_id]
        self.board.end(operation, fact.machine, fact.at)
        if self.world.transport:
            self._look_at(max(now, fact.at + self.world.transport))
        if order.id not in self.board.orders:
            self.policy.finished(order, now)

    # --- what is done about it ----------------------------------------------------------------------

    def _settle(self, now: int) -> None:
        again = self.policy.settle(now)
        if again is not None and again > now:
            self._look_at(again)
        for order in self.new:
            self.history.promised[order.id] = self.policy.promise(order, now)
        self.new.clear()

    def _dispatch(self, now: int) -> None:
        """Ask for every free machine until nothing more is begun and nothing more turns out."""
        again = True
        while again:
            again = False
            for machine, bay in self.bays.items():
                if bay.work is None and not bay.down:
                    again |= self._ask(machine, bay, now)

    def _ask(self, machine: str, bay: _Bay, now: int) -> bool:
        """Ask for one machine; says whether the others should be asked again."""
        choice = self.policy.choose(machine, bay.setup, now)
        if isinstance(choice, Wait):
            if choice.until is not None and choice.until > now:
                self._look_at(choice.until)
            return False
        operation = self.board.open[choice.operation]
        if choice.operation in self.begun:
            # Somebody went to fetch the lot and found it begun elsewhere.
            self._reveal(operation.order_id, "", now)
            return True
        if not choice.prepare and self.board.waiting[machine].get(operation.id, now + 1) > now:
            raise RuntimeError(f"{operation.id} is not at {machine} at {now}")
        nominal = self.board.changeover(machine, bay.setup, operation)
        start = now + self.world.changeover(operation, machine, nominal)
        end = start if choice.prepare else start + self.world.seconds(operation, machine)
        bay.setup = operation.setup
        bay.work = _Work(operation, now, start, end, choice.prepare)
        self._push(end, Kind.END, (machine, bay.work))
        if choice.prepare:
            self.board.prepare(operation, machine, now + nominal)
        else:
            self.begun.add(operation.id)
            self._scan(_Fact(operation, machine, now, ended=False))
        return False

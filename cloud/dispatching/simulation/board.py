"""What is known of a simulated floor: all that a dispatcher has to decide by, whatever it is.

A missing scan leaves the board behind the floor: a lot that is finished, but not reported, waits nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloud.dispatching.shop.problem import Machine, Operation
from cloud.dispatching.simulation.shifts import Shifts
from cloud.dispatching.simulation.world import Order, World


@dataclass(frozen=True, slots=True)
class Begun:
    """An operation is in hand at a machine since ``at``, changeover included; by nominal times and the stops
    that are known of, it ends at ``ends``."""

    machine: str
    at: int
    ends: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation ended at a machine."""

    machine: str
    at: int


@dataclass(frozen=True, slots=True)
class Down:
    """A machine is down since ``since``; people expect it to be up again at ``expected``."""

    since: int
    expected: int


class Board:
    """The reported state. The execution writes it, policies read it."""

    def __init__(self, world: World) -> None:
        self.shifts: Shifts = world.shifts
        self.machines: dict[str, Machine] = {machine.id: machine for machine in world.machines}
        self.transport = world.transport
        self.repairs = world.repairs
        self.orders: dict[str, Order] = {}
        """Orders that are not known to be finished, by id."""
        self.open: dict[str, Operation] = {}
        """Operations that are not known to have ended, by id, in the order in which they came."""
        self.begun: dict[str, Begun] = {}
        """Those of them that are known to have begun."""
        self.ended: dict[str, Ended] = {}
        """Where and when operations ended."""
        self.setups: dict[str, Mapping[str, str]] = {name: {} for name in self.machines}
        self.changing: dict[str, int] = {}
        """Machines that are being changed over for work to come, and when they should be ready for it."""
        self.down: dict[str, Down] = {}
        self.waiting: dict[str, dict[str, int]] = {name: {} for name in self.machines}
        """By machine: operations that can be begun there, with the time from which the material is there."""
        self._after: dict[str, list[Operation]] = {}

    # --- what is heard ------------------------------------------------------------------------------

    def take_in(self, order: Order) -> None:
        """An order came in."""
        self.orders[order.id] = order
        for operation in order.operations:
            self.open[operation.id] = operation
            for name in operation.predecessors:
                self._after.setdefault(name, []).append(operation)
            self._release(operation)

    def begin(self, operation: Operation, machine: str, at: int) -> None:
        """An operation is known to have begun."""
        for queue in self.waiting.values():
            queue.pop(operation.id, None)
        alternative = operation.alternative(machine)
        seconds = alternative.seconds if alternative is not None else 0
        ends = at + self.changeover(machine, self.setups[machine], operation) + seconds
        self.begun[operation.id] = Begun(machine, at, ends)
        self.setups[machine] = operation.setup

    def prepare(self, operation: Operation, machine: str, ends: int) -> None:
        """A machine is being changed over for an operation that is not there yet; machines tell of that."""
        self.setups[machine] = operation.setup
        self.changing[machine] = ends

    def stop(self, machine: str, since: int) -> None:
        """A machine is down."""
        self.down[machine] = Down(since, self.shifts.after(since, self.repairs[machine]))

    def resume(self, machine: str, now: int) -> None:
        """A machine is up again; what it has in hand ends so much later."""
        down = self.down.pop(machine)
        for name, begun in self.begun.items():
            if begun.machine == machine:
                ends = begun.ends + now - max(down.since, begun.at)
                self.begun[name] = Begun(machine, begun.at, ends)

    def end(self, operation: Operation, machine: str, at: int) -> None:
        """An operation is known to have ended."""
        self.begin(operation, machine, at)
        del self.begun[operation.id]
        del self.open[operation.id]
        self.ended[operation.id] = Ended(machine, at)
        for follower in self._after.pop(operation.id, ()):
            self._release(follower)
        if all(o.id in self.ended for o in self.orders[operation.order_id].operations):
            del self.orders[operation.order_id]

    def _release(self, operation: Operation) -> None:
        """Put it before its machines if all it waits for is known to have ended."""
        if any(name not in self.ended for name in operation.predecessors):
            return
        for alternative in operation.alternatives:
            self.waiting[alternative.machine][operation.id] = self.there(operation, alternative.machine)

    # --- what follows -------------------------------------------------------------------------------

    def there(self, operation: Operation, machine: str) -> int:
        """When the material is at ``machine``, as far as predecessors have ended."""
        time = operation.earliest
        for name in operation.predecessors:
            before = self.ended.get(name)
            if before is not None:
                way = self.transport if before.machine != machine else 0
                time = max(time, before.at + way)
        return time

    def changeover(self, machine: str, setup: Mapping[str, str], operation: Operation) -> int:
        """Nominal seconds to change ``machine`` over from ``setup``."""
        return self.machines[machine].changeover(setup, operation.setup)

    def fits(self, machine: str, setup: Mapping[str, str], operation: Operation, now: int) -> bool:
        """Whether it would be finished before the shift ends, if all goes as planned."""
        alternative = operation.alternative(machine)
        if alternative is None:
            return False
        end = now + self.changeover(machine, setup, operation) + alternative.seconds
        return end <= self.shifts.closing(now)

    def candidates(self, machine: str, setup: Mapping[str, str], now: int) -> list[Operation]:
        """What could be begun at ``machine`` now, first come first."""
        return [
            operation
            for name, there in self.waiting[machine].items()
            if there <= now and self.fits(machine, setup, operation := self.open[name], now)
        ]

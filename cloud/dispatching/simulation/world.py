"""What happens in a simulated shop whoever dispatches it: orders, real durations, breakdowns, missing scans.

Every draw has a stream of its own, seeded with what it is for. What one policy does never changes what
another one meets.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cloud.dispatching.shop.problem import Alternative, Machine, Operation
from cloud.dispatching.simulation.factory import Factory
from cloud.dispatching.simulation.shifts import WEEK, Shifts

T = TypeVar("T")

LEAST_REPAIR = 300
"""No repair is over before so many seconds."""


@dataclass(frozen=True, slots=True)
class Chance:
    """How the world departs from what is planned."""

    spread: float = 0.3
    """Real durations lie within this share below and above the nominal ones, evenly spread."""
    missing: float = 0.1
    """Share of the scans (of a start or an end) that nobody hears."""
    breakdowns: bool = True
    check_seconds: int = 7200
    """Working seconds after which somebody finds out what a missing scan left unknown."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order: known from ``arrival`` on. Its operations name due date and weight."""

    id: str
    customer: str
    arrival: int
    due: int
    weight: int
    operations: tuple[Operation, ...]

    @property
    def content(self) -> int:
        """Nominal seconds of all its operations on their fastest machines."""
        return sum(min(a.seconds for a in o.alternatives) for o in self.operations)


@dataclass(frozen=True, slots=True)
class World:
    """One seed's weeks of a shop. Seconds from Monday 00:00 of the first week."""

    seed: int
    shifts: Shifts
    machines: tuple[Machine, ...]
    orders: tuple[Order, ...]
    breakdowns: Mapping[str, tuple[tuple[int, int], ...]]
    """By machine (from, until)."""
    repairs: Mapping[str, int]
    """By machine the working seconds a repair takes on average, as people know from experience."""
    transport: int
    chance: Chance = field(default_factory=Chance)

    def seconds(self, operation: Operation, machine: str) -> int:
        """How long the operation really takes there, its set-up included."""
        alternative = operation.alternative(machine)
        if alternative is None:
            raise ValueError(f"{operation.id} cannot run on {machine}")
        return self._stretched(alternative.seconds, "duration", operation.id, machine)

    def changeover(self, operation: Operation, machine: str, nominal: int) -> int:
        """How long a changeover to the operation really takes there."""
        return self._stretched(nominal, "changeover", operation.id, machine)

    def unheard(self, operation: str, what: str) -> bool:
        """Whether the scan of its ``what`` (start or end) is missing."""
        missing = self.chance.missing
        return missing > 0 and stream(self.seed, "scan", operation, what).random() < missing

    def _stretched(self, nominal: int, *what: str) -> int:
        spread = self.chance.spread
        if not nominal or not spread:
            return nominal
        return max(1, round(nominal * stream(self.seed, *what).uniform(1 - spread, 1 + spread)))


def stream(seed: int, *what: object) -> random.Random:
    """Random numbers for one purpose, the same in every process."""
    return random.Random(":".join(str(part) for part in (seed, *what)))


def make_world(factory: Factory, seed: int, weeks: int, chance: Chance) -> World:
    """``weeks`` weeks of orders for ``factory``; the same arguments always give the same world."""
    shifts = factory.hours.shifts()
    return World(
        seed=seed,
        shifts=shifts,
        machines=tuple(
            Machine(id=name, changeovers=station.rules()) for name, station in factory.stations.items()
        ),
        orders=tuple(_orders(factory, seed, weeks, shifts)),
        breakdowns={
            name: _breakdowns(seed, name, station.up_hours, station.repair_hours, 2 * weeks + 2, shifts)
            if chance.breakdowns
            else ()
            for name, station in factory.stations.items()
        },
        repairs={name: round(s.repair_hours * 3600) for name, s in factory.stations.items()},
        transport=factory.transport_seconds,
        chance=chance,
    )


def _orders(factory: Factory, seed: int, weeks: int, shifts: Shifts) -> list[Order]:
    """Orders come in after exponential times of work, so a day has as many as Poisson says."""
    rng = stream(seed, "arrivals")
    mean = shifts.length / factory.orders_per_day
    orders: list[Order] = []
    worked = 0.0
    while (arrival := shifts.after(0, round(worked := worked + rng.expovariate(1 / mean)))) < weeks * WEEK:
        orders.append(_order(factory, seed, len(orders) + 1, arrival, shifts))
    return orders


def _order(factory: Factory, seed: int, number: int, arrival: int, shifts: Shifts) -> Order:
    name = f"o{number:04}"
    rng = stream(seed, "order", name)
    product = factory.products[_pick(rng, {n: p.share for n, p in factory.products.items()})]
    customer = _pick(rng, {n: c.share for n, c in factory.customers.items()})
    asked = factory.customers[customer]
    quantity = rng.randint(product.least, product.most)
    values = {attribute: _pick(rng, shares) for attribute, shares in factory.attributes.items()}
    work = sum(step.setup_seconds + step.run_seconds(quantity) for step in product.steps)
    due = shifts.after(arrival, work + round(rng.uniform(asked.soonest, asked.latest) * 3600))
    operations: list[Operation] = []
    for position, step in enumerate(product.steps, start=1):
        operations.append(
            Operation(
                id=f"{name}-{position}",
                order_id=name,
                job_id=name,
                alternatives=tuple(
                    Alternative(
                        machine=machine,
                        run_seconds=step.run_seconds(quantity),
                        setup_seconds=step.setup_seconds,
                    )
                    for machine, station in factory.stations.items()
                    if station.kind == step.kind
                ),
                predecessors=(operations[-1].id,) if operations else (),
                due=due,
                weight=asked.weight,
                earliest=arrival,
                setup={attribute: values[attribute] for attribute in step.setup},
            )
        )
    return Order(name, customer, arrival, due, asked.weight, tuple(operations))


def _breakdowns(
    seed: int, machine: str, up_hours: float, repair_hours: float, weeks: int, shifts: Shifts
) -> tuple[tuple[int, int], ...]:
    """Exponential times of work up and down, drawn for the shop's open hours."""
    if not up_hours:
        return ()
    rng = stream(seed, "breakdowns", machine)
    found: list[tuple[int, int]] = []
    time = 0
    while time < weeks * WEEK:
        down = shifts.opening(shifts.after(time, max(1, round(rng.expovariate(1 / (up_hours * 3600))))))
        time = shifts.after(down, max(LEAST_REPAIR, round(rng.expovariate(1 / (repair_hours * 3600)))))
        found.append((down, time))
    return tuple(found)


def _pick(rng: random.Random, shares: Mapping[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]

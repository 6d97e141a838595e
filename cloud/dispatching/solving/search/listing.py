"""The list decoder with Python types: a list of units in, a plan with everything that belongs to it out."""

from __future__ import annotations

import importlib
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache as once
from types import ModuleType

import numpy as np

from cloud.dispatching.shop.schedule import Schedule, Service, Status, Trip
from cloud.dispatching.solving.activities import Shop, Spot
from cloud.dispatching.solving.search import cache
from cloud.dispatching.solving.search import list_columns as k
from cloud.dispatching.solving.search.jit import interpreted
from cloud.dispatching.solving.search.numbered import NEVER, Ints, numbered
from cloud.dispatching.solving.search.units import units_of, within

DECODE = "cloud.dispatching.solving.search.decode"

NO_LIMIT = 1 << 62
"""More than any plan costs."""

TRIES = 200
"""Orders and machines tried for a unit whose longest lags are exceeded."""

_lock = threading.Lock()


@once
def _interpreted() -> ModuleType:
    return interpreted(DECODE)


def kernel() -> ModuleType:
    """The decoder's functions: compiled where that is done already, else as plain Python.

    Compiling them is begun in a process of its own, so that they are there for the next plan.
    """
    with _lock:  # loading takes a while; a second thread waits for it
        path = cache.folder() if cache.available() else None
        if path is None:
            return _interpreted()
        if cache.complete(path):
            return importlib.import_module(DECODE)
        cache.begin(path)
        return _interpreted()


def is_compiled() -> bool:
    """Whether the search's functions are machine code that can be loaded at once."""
    path = cache.folder() if cache.available() else None
    return path is not None and cache.complete(path)


@dataclass(frozen=True, slots=True)
class List:
    """A plan in its shortest form: units in the order in which they are placed, an option by activity (tasks
    after activities: 0 do it, 1 leave it out), and by the same a start that it keeps though it could be
    earlier (:data:`~cloud.dispatching.solving.search.numbered.NEVER`: none). ``members`` has the order within
    units (as :attr:`~cloud.dispatching.solving.search.numbered.Numbered.members`)."""

    order: Ints
    option: Ints
    held: Ints
    members: Ints


@dataclass(frozen=True, slots=True)
class Decoded:
    """A plan, what it costs, and by how many seconds it exceeds longest lags (0, or it may not be used)."""

    spots: list[Spot]
    services: dict[str, Service]
    trips: list[Trip]
    cost: int
    broken: int


class Decoder:
    """Makes plans of one shop out of lists."""

    def __init__(self, shop: Shop, functions: ModuleType | None = None) -> None:
        self.shop = shop
        self.given = numbered(shop)
        self.units = units_of(shop)
        self._functions = functions or kernel()
        self._placed = np.zeros(0, dtype=np.int64)
        self._members = self.given.members.copy()

    def decode(self, given: List) -> Decoded:
        """The plan that ``given``, in which everything comes after what it waits for, describes."""
        self._load(given)
        self._functions.decode(*self.given, self._placed, NO_LIMIT)
        return self.plan()

    def _load(self, given: List) -> None:
        arrays = self.given
        self._functions.undo(*arrays, self._placed, 0)
        arrays.activities[:, k.OPTION] = arrays.activities[:, k.OPTION_AT] + given.option
        arrays.activities[:, k.HELD] = given.held
        arrays.members[:] = given.members
        self._placed = given.order.copy()

    def mend(self, given: List, rng: random.Random) -> Decoded:
        """As :meth:`decode`; what exceeds a longest lag is tried in other ways until it does not.

        The members of its unit are placed in other orders and on other machines, then the unit elsewhere.
        """
        self._load(given)
        arrays, functions, order = self.given, self._functions, self._placed
        for position in range(len(order)):
            before = int(arrays.numbers[k.BROKEN])
            functions.decode(*arrays, order[: position + 1], NO_LIMIT)
            if arrays.numbers[k.BROKEN] > before:
                self._rearrange(position, rng)
        if arrays.numbers[k.BROKEN]:
            self._elsewhere(rng)
        return self.plan()

    def _elsewhere(self, rng: random.Random) -> None:
        """Move units whose longest lags are exceeded along the list until none is."""
        n, functions = self.given.numbers, self._functions
        for _ in range(TRIES):
            stuck = self._stuck()
            if not stuck:
                return
            kept, worth = self._placed, (int(n[k.BROKEN]), int(n[k.COST]))
            functions.undo(*self.given, kept, 0)
            self._placed = self._moved(kept, rng.choice(stuck), rng)
            functions.decode(*self.given, self._placed, NO_LIMIT)
            if (int(n[k.BROKEN]), int(n[k.COST])) > worth:
                functions.undo(*self.given, self._placed, 0)
                self._placed = kept
                functions.decode(*self.given, self._placed, NO_LIMIT)

    def _stuck(self) -> list[int]:
        """Units in which something starts too long after something else."""
        rows = self.given.activities
        return [
            unit
            for unit, members in enumerate(self.units.members)
            if len(members) > 1
            and any(
                rows[member, k.START] > rows[other, k.END] + most
                for member in members
                for other, most in self.shop.activities[member].most.items()
            )
        ]

    def _moved(self, order: Ints, unit: int, rng: random.Random) -> Ints:
        """``order`` with ``unit`` at a random position between what it waits for and what waits for it."""
        rest = [other for other in order.tolist() if other != unit]
        position = {other: at for at, other in enumerate(rest)}
        low = max((position[other] + 1 for other in self.units.before[unit]), default=0)
        high = min((position[other] for other in self.units.after[unit]), default=len(rest))
        rest.insert(rng.randint(low, high), unit)
        return np.array(rest, dtype=np.int64)

    def _rearrange(self, position: int, rng: random.Random) -> None:
        """Try orders and machines for the unit placed last, and keep the best."""
        arrays, functions, order = self.given, self._functions, self._placed
        first, last = arrays.units[order[position], (k.MEMBER_AT, k.MEMBER_END)].tolist()
        rows = arrays.activities
        best = self._tried(first, last)
        for _ in range(TRIES):
            members = within(self.shop, best[2], rng)
            functions.undo(*arrays, order, position)
            arrays.members[first:last] = members
            for member in members:
                if rng.random() < 0.5:
                    rows[member, k.OPTION] = rng.randrange(
                        int(rows[member, k.OPTION_AT]), int(rows[member, k.OPTION_END])
                    )
            functions.decode(*arrays, order[: position + 1], NO_LIMIT)
            best = min(best, self._tried(first, last))
            if arrays.numbers[k.BROKEN] == rows[members[0], k.OLD_BROKEN]:
                return
        functions.undo(*arrays, order, position)
        arrays.members[first:last] = best[2]
        rows[best[2], k.OPTION] = best[3]
        functions.decode(*arrays, order[: position + 1], NO_LIMIT)

    def _tried(self, first: int, last: int) -> tuple[int, int, list[int], list[int]]:
        members = self.given.members[first:last].tolist()
        n = self.given.numbers
        return int(n[k.BROKEN]), int(n[k.COST]), members, self.given.activities[members, k.OPTION].tolist()

    def plan(self) -> Decoded:
        """What is placed now, which must be all of a list."""
        shop, n = self.shop, self.given.numbers
        rows = self.given.activities
        columns = (k.OPTION, k.OPTION_AT, k.CHANGE, k.START, k.END)
        spots = [
            Spot(option - first, change, start, end)
            for option, first, change, start, end in rows[: len(shop.activities), columns].tolist()
        ]
        services = {
            task.id: Service(
                machine=shop.stations[task.station].id, start=int(row[k.START]), end=int(row[k.END])
            )
            for task, row in zip(shop.tasks, rows[len(shop.activities) :], strict=True)
            if row[k.DONE]
        }
        return Decoded(spots, services, list(self._trips(spots)), int(n[k.COST]), int(n[k.BROKEN]))

    def _trips(self, spots: Sequence[Spot]) -> Iterator[Trip]:
        shop = self.shop
        if shop.problem.vehicles is None:
            return
        for activity, spot, row in zip(shop.activities, spots, self.given.activities, strict=False):
            for haul, planned in zip(
                activity.hauls, self.given.relations[row[k.HAUL_AT] : row[k.HAUL_END]], strict=True
            ):
                start = int(planned[k.TRIP])
                if start == NEVER:
                    continue
                origin = haul.station
                if haul.before >= 0:
                    origin = shop.activities[haul.before].options[spots[haul.before].option].station
                seconds = shop.travel[origin][activity.options[spot.option].station]
                yield Trip(
                    operation=haul.operation, predecessor=haul.predecessor, start=start, end=start + seconds
                )

    def placed(self) -> List:
        """The list of what is placed now."""
        arrays = self.given
        rows = arrays.activities
        option = rows[:, k.OPTION] - rows[:, k.OPTION_AT]
        return List(self._placed.copy(), option, rows[:, k.HELD].copy(), arrays.members.copy())

    def schedule(self, decoded: Decoded, status: Status) -> Schedule:
        """A decoded plan with names and objective."""
        return self.shop.schedule(decoded.spots, decoded.services, status, trips=decoded.trips)

    def list_of(
        self,
        spots: Sequence[Spot],
        services: dict[str, Service],
        *,
        held: Sequence[int | None] = (),
        omit: bool = False,
    ) -> List:
        """The machines and the order of a plan; tasks that are not done go where they must be done.

        ``held`` are starts by activity that are kept; with ``omit`` tasks that are not done are left out.
        """
        shop = self.shop
        count = len(shop.activities)
        rank = {index: at for at, index in enumerate(shop.order)}
        at = sorted(range(count), key=lambda i: (spots[i].start, spots[i].end, rank[i]))
        keys = [0.0] * (count + len(shop.tasks))
        for place, index in enumerate(at):
            keys[index] = float(place)
        starts = [spots[index].start for index in at]
        for number, task in enumerate(shop.tasks):
            service = services.get(task.id)
            start = (
                service.start
                if service is not None
                else max(task.earliest, task.finish_before - task.seconds)
            )
            keys[count + number] = float(np.searchsorted(starts, start)) - 0.5
        option = [spot.option for spot in spots] + [
            int(omit and task.id not in services) for task in shop.tasks
        ]
        keep = [NEVER if start is None else start for start in held] or [NEVER] * count
        return List(
            order=np.array(self.units.in_order(keys), dtype=np.int64),
            option=np.array(option, dtype=np.int64),
            held=np.array(keep + [NEVER] * len(shop.tasks), dtype=np.int64),
            members=self._members,
        )

"""A shop to simulate, as plain data: stations, products, what is ordered and when people work.

A file in YAML or JSON says all of it; ``cabinets.yaml`` beside this module is the shop that is simulated when
no other is named.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cloud.dispatching.shop.problem import Changeover
from cloud.dispatching.simulation.shifts import Shifts
from protocols.documents import Finding, Findings, load, not_one_of

CABINETS = Path(__file__).with_name("cabinets.yaml")
"""Made-to-measure steel cabinets: the shop that is simulated when no other is named."""

Share = Annotated[float, Field(gt=0, le=1000)]
Seconds = Annotated[int, Field(ge=0, le=864_000)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hours(_Part):
    """Open from hour ``opens`` to hour ``closes`` on the first ``days`` days of a week."""

    opens: Annotated[float, Field(ge=0, lt=24)] = 6.0
    closes: Annotated[float, Field(gt=0, le=24)] = 22.0
    days: Annotated[int, Field(ge=1, le=7)] = 5

    @model_validator(mode="after")
    def _open_at_all(self) -> Hours:
        if self.closes <= self.opens:
            raise Findings([Finding(("closes",), f"must be after opens ({self.opens:g})")])
        return self

    def shifts(self) -> Shifts:
        return Shifts(round(self.opens * 3600), round(self.closes * 3600), self.days)


class Rule(_Part):
    """What a change of one attribute takes: ``pairs[before][after]``, else ``seconds``."""

    seconds: Seconds = 0
    pairs: dict[str, dict[str, Seconds]] = {}


class Station(_Part):
    """A machine. It runs ``up_hours`` of working time on average between two breakdowns (0: it has none)."""

    kind: Name
    up_hours: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    repair_hours: Annotated[float, Field(gt=0, le=1000)] = 1.0
    changeover: dict[Name, Rule] = {}

    def rules(self) -> tuple[Changeover, ...]:
        """As the planner reads them."""
        return tuple(
            Changeover(attribute=name, seconds=rule.seconds, pairs=rule.pairs)
            for name, rule in self.changeover.items()
        )


class Step(_Part):
    """One operation of a product: on any station of ``kind``; ``setup`` names attributes of the order."""

    kind: Name
    setup_seconds: Seconds = 0
    seconds_per_run: Seconds = 0
    seconds_per_piece: Seconds = 0
    setup: tuple[Name, ...] = ()

    def run_seconds(self, quantity: int) -> int:
        return max(1, self.seconds_per_run + self.seconds_per_piece * quantity)


class Product(_Part):
    """``share`` of the orders ask for it, in lots of ``least`` to ``most``; steps come one after another."""

    share: Share
    least: Annotated[int, Field(ge=1, le=10_000)]
    most: Annotated[int, Field(ge=1, le=10_000)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _least_first(self) -> Product:
        if self.most < self.least:
            raise Findings([Finding(("most",), f"{self.most} is less than least ({self.least})")])
        return self


class Customers(_Part):
    """``share`` of the orders weigh ``weight`` and are due when their own work and ``soonest`` to ``latest``
    working hours more are over."""

    share: Share
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    soonest: Annotated[float, Field(gt=0, le=10_000)]
    latest: Annotated[float, Field(gt=0, le=10_000)]

    @model_validator(mode="after")
    def _soonest_first(self) -> Customers:
        if self.latest < self.soonest:
            raise Findings([Finding(("latest",), f"{self.latest:g} is before soonest ({self.soonest:g})")])
        return self


class Factory(_Part):
    """The shop and what is asked of it; orders come in while it is open, at random."""

    title: Name
    hours: Hours = Hours()
    orders_per_day: Annotated[float, Field(gt=0, le=1000)]
    transport_seconds: Seconds = 0
    stations: Annotated[dict[Name, Station], Field(min_length=1, max_length=200)]
    attributes: dict[Name, dict[Name, Share]] = {}
    products: Annotated[dict[Name, Product], Field(min_length=1, max_length=200)]
    customers: Annotated[dict[Name, Customers], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _fits_together(self) -> Factory:
        found: list[Finding] = []
        kinds = {station.kind for station in self.stations.values()}
        shift = self.hours.shifts().length
        slowest = {name: self._slowest(name) for name in self.stations}
        for product, made in self.products.items():
            for at, step in enumerate(made.steps):
                where = ("products", product, "steps", at)
                if step.kind not in kinds:
                    found.append(Finding((*where, "kind"), not_one_of(step.kind, sorted(kinds))))
                found += [
                    Finding((*where, "setup", n), not_one_of(name, self.attributes))
                    for n, name in enumerate(step.setup)
                    if name not in self.attributes
                ]
                fitting = [name for name, station in self.stations.items() if station.kind == step.kind]
                longest = max((slowest[name] for name in fitting), default=0)
                longest += step.setup_seconds + step.run_seconds(made.most)
                if longest > shift:
                    text = f"{made.most} pieces take {longest} s with changeover, a shift has {shift} s"
                    found.append(Finding(where, text))
        for name, station in self.stations.items():
            found += [
                Finding(("stations", name, "changeover", a), not_one_of(a, self.attributes))
                for a in station.changeover
                if a not in self.attributes
            ]
        if found:
            raise Findings(found)
        return self

    def _slowest(self, station: str) -> int:
        """The longest changeover of a station."""
        rules = self.stations[station].changeover.values()
        return sum(max([r.seconds, *(s for row in r.pairs.values() for s in row.values())]) for r in rules)


def read_factory(path: Path = CABINETS) -> Factory:
    """The shop in a file.

    Raises:
        DocumentError: with file, line and column of every mistake, the value and what is allowed.
    """
    return load(path, Factory)

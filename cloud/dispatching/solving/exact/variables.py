"""The variables of a shop's constraint model, which every file of rules beside this one reads and adds to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cloud.dispatching.solving.activities import Block, Haul, Shop

Node = tuple[int, int] | Block
"""(activity, option) or frozen work."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How an option's work may lie to one pause; absent work does not rest."""

    pause: Block
    after: Any
    over: Any
    before: Any


@dataclass(slots=True)
class Choice:
    """An option in the model; the ``stay`` begins with the changeover, at ``begin``."""

    present: Any
    begin: Any
    changeover: Any
    stay: Any = None
    size: Any = None
    """How long it stays, where that follows neither from the option nor from the changeover."""
    rests: list[Rest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Carried:
    """A haul of ``activity`` in the model: a trip may set out at ``start``; for each duration of the way
    that the machines leave possible, the literal that it is this one (0: no trip).
    """

    activity: int
    haul: Haul
    start: Any
    ways: dict[int, Any]


class Variables:
    """What a model is made of; filled by the rules. ``cp`` is the solver's own module."""

    def __init__(self, shop: Shop, horizon: int, cp: Any) -> None:
        self.cp = cp
        self.shop = shop
        self.horizon = horizon
        self.model: Any = cp.CpModel()
        self.start: list[Any] = []
        self.end: list[Any] = []
        self.choices: list[list[Choice]] = []
        self.stays: list[list[Any]] = [[] for _ in shop.stations]
        self.rigid: list[list[Any]] = [[] for _ in shop.stations]
        """Of the stays, those that rest over no pause."""
        self.arcs: list[tuple[int, int, int, Any]] = []
        """(station, node before, node after, literal)."""
        self.nodes: list[list[Node]] = [[] for _ in shop.stations]
        """By station, what node 1, 2, … of its circuit is; 0: the start."""
        self.trips: list[Carried] = []
        self.service: list[tuple[Any, Any]] = []
        self.service_stays: list[Any] = []
        self.source: list[Any] = []
        self.station_source: dict[int, int] = {}
        self.terms: list[Any] = []
        self.job_late: list[tuple[int, Any]] = []
        self.wish_off: list[tuple[int, int, Any]] = []
        self.pinned_late: list[tuple[int, int, Any]] = []
        """(activity, pinned start, seconds after it)."""
        self.changeovers: list[Any] = []
        self.latest: Any = None

    def only_if(self, constraint: Any, *literals: Any) -> None:
        """Enforce ``constraint`` only where all ``literals`` hold; ``True`` is left out."""
        real = [literal for literal in literals if literal is not True]
        if real:
            constraint.only_enforce_if(*real)

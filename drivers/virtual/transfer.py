"""A virtual transfer station: one place for a load, made ready for the vehicle that comes. Pure.

The people of the workcell are part of it: they put a load there for a vehicle that comes to fetch one, and
take away what a vehicle would not find room beside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.virtual.agv import VirtualAgv


@dataclass(slots=True)
class TransferStation:
    """One station at a node. ``prepare`` are factory seconds until its place is as a vehicle needs it."""

    node: str
    speed: float = 1.0
    prepare: float = 10.0
    loaded: bool = False
    release: bool = False
    """As the edge wrote it."""
    ready: bool = False
    _for: tuple[str, str] = ("", "")
    """Order and action that it gets, or is, ready for."""
    _left: float = 0.0
    _agv: VirtualAgv | None = None
    _had: bool = False

    def advance(self, seconds: float, vehicles: Iterable[VirtualAgv]) -> None:
        """Let ``seconds`` of real time go by; loads go over as vehicles take and give them."""
        self._follow()
        coming = ((agv, kind) for agv in vehicles if (kind := agv.business_at(self.node)))
        agv, kind = next(coming, (None, ""))
        wanted = ("", "") if agv is None else (agv.order_id, kind)
        if wanted != self._for:
            self._for, self._left, self.ready = wanted, self.prepare, False
            self._agv, self._had = agv, agv is not None and bool(agv.load)
        if agv is not None and not self.ready:
            self._left -= seconds * self.speed
            if self._left <= 0:
                self.ready, self.loaded = True, kind == "pick"

    def _follow(self) -> None:
        """What the vehicle had, the station has now; and the other way round."""
        if self._agv is None:
            return
        has = bool(self._agv.load)
        if has is not self._had and self._agv.node == self.node:
            self.loaded = self._had
        self._had = has

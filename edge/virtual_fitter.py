"""A virtual fitter: does the maintenance orders of a station's machines when they are due. Pure.

It does what a person would at the station: begins the order, which locks the machine, looks, says what it
found, mends, and releases its lock. Production accepts the machine: that is the operator's business.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from edge.station import commands as asked
from edge.station.refusals import Refusal
from edge.station.station_view import ControlView, OrderView, Shape, StationView
from edge.virtual_operator import REST_SECONDS, Button, Deed, Do, Push, Wait
from protocols.lifecycles import LockState
from protocols.values import MICROSECONDS

WORN = 0.02
"""Wear, as a part of that at which a machine fails, from which on it is seen when the machine is open."""
LOOK_SECONDS = 1.0


@dataclass(slots=True)
class VirtualFitter:
    """Whoever mends machines at one station. ``hands``: there is a panel, so that it can look and mend."""

    station: str
    seed: int
    session: str
    hands: bool = False
    _actor: str = field(init=False)
    _number: int = field(default=0, init=False)
    _rest_until: float = field(default=0.0, init=False)
    _wear: dict[str, float] = field(default_factory=dict, init=False)
    """What it saw of machines that it has open."""
    _mended: set[str] = field(default_factory=set, init=False)
    """Cases whose machine is mended and not given back."""

    def __post_init__(self) -> None:
        self._actor = f"M{random.Random(f'{self.seed}:{self.station}:fitter').randint(10, 99)}"

    def think(self, view: StationView, now: float) -> Deed:
        """The next deed. ``now`` in seconds of any clock that runs evenly."""
        if now >= self._rest_until and not view.terminals:
            for machine in view.machines:
                for deed in self._deeds(view, machine):
                    return deed
        return Wait(LOOK_SECONDS)

    def refused(self, refusal: Refusal, now: float) -> None:
        """A command was refused: think again a little later."""
        self._rest_until = now + REST_SECONDS

    def saw(self, device: str, wear: float) -> None:
        """What the open machine looks like, 0 (new) to 1."""
        self._wear.setdefault(device, wear)

    def _deeds(self, view: StationView, machine: ControlView) -> Iterator[Deed]:
        begun = next((order for order in machine.orders if order.since and order.by == self._actor), None)
        if begun is not None and machine.lock is LockState.LOCKED:
            yield from self._work(view, machine, begun)
        elif machine.lock is LockState.FREE:
            self._wear.pop(machine.device, None)
            due = next((order for order in machine.orders if is_due(view, order)), None)
            if due is not None and not any(run.active for run in view.runs):
                yield self._do(asked.StartMaintenance, case=due.order.case)

    def _work(self, view: StationView, machine: ControlView, begun: OrderView) -> Iterator[Deed]:
        device, case = machine.device, begun.order.case
        if self.hands and device not in self._wear:
            yield Push(device, Button.LOOK)
            return
        if view.now < begun.since + begun.order.seconds * MICROSECONDS:
            return
        if not begun.found:
            worn = self._wear.get(device, 1.0) >= WORN
            yield self._do(
                asked.ReportFinding, case=case, found="worn, exchanged" if worn else "no wear to be seen"
            )
        elif self.hands and case not in self._mended:
            self._mended.add(case)
            yield Push(device, Button.REPAIR)
        else:
            yield self._do(asked.ReleaseLock, device=device)

    def _do(self, kind: type[asked.Command], **fields: Any) -> Do:
        self._number += 1
        name = f"{self.session}-{self.station}-fitter-{self._number}"
        return Do(kind.model_validate({"id": name, "actor": self._actor, **fields}))


def is_due(view: StationView, order: OrderView) -> bool:
    """Whether a maintenance order is to be begun now: its time has come, or the machine has failed."""
    start = order.order.start
    return not order.since and bool(start) and (start <= view.now or view.shape is Shape.FAULT)

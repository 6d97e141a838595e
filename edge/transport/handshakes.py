"""The handshakes of one edge: signals in, steps on disk, the release signal out through the drivers' gate.

What a step lets a vehicle do is asked for by its carrier: :meth:`Handshakes.may_dock`,
:meth:`Handshakes.may_leave`. A step is on disk before either says yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from drivers.driver import DeviceLost, Driver, WriteFailed, WriteRefused, WriteUnknown
from edge.outbox.store import Store
from edge.transport import journal
from edge.transport.missions import Mission
from protocols.clock import Clock
from protocols.handshake import (
    MAY_DOCK,
    MAY_LEAVE,
    Handshake,
    Kind,
    Signals,
    Step,
    advanced,
    late,
    release,
)
from protocols.site_graph import Station, StationSignals, Within
from protocols.values import MICROSECONDS, Value

log = structlog.get_logger(__name__)

WRITE_TIMEOUT = 3.0
"""Seconds for writing one release: other vehicles wait meanwhile."""
AGAIN = 2 * MICROSECONDS
"""µs after a write until the same one is tried once more, should it not be read back."""


class StationDevices(Protocol):
    """The devices of the edge as stations use them."""

    def values(self, device: str, tags: Collection[str]) -> Mapping[str, Value]:
        """The newest good values; nothing of a device that is away."""

    def driver(self, device: str) -> Driver[Any] | None:
        """Its connected driver; None while it is away."""

    def refuses(self, device: str) -> str:
        """Why nothing may be done to it; empty when it is free."""


class VehicleSays(Protocol):
    """What a vehicle says during a handshake: ready and release are left out."""

    def __call__(self, handshake: Handshake) -> Signals: ...


@dataclass(slots=True)
class Handshakes:
    """All handshakes that go on. ``open`` by id.

    Args:
        stations: by workcell.
        devices: whose tags are the stations' signals.
    """

    stations: Mapping[str, Station]
    devices: StationDevices
    store: Store
    clock: Clock
    open: dict[str, Handshake] = field(default_factory=dict)
    on_late: Callable[[Handshake, str], None] = lambda _handshake, _reason: None
    """Told once for each step that takes too long."""
    _begun: list[Handshake] = field(default_factory=list, init=False)
    _not_before: dict[tuple[str, bool], int] = field(default_factory=dict, init=False)
    _said: dict[str, str] = field(default_factory=dict, init=False)

    def begin(self, mission: Mission, kind: Kind, device: str) -> None:
        """A vehicle wants to come; twice is once. It is on disk with the next :meth:`step`."""
        name, cell = f"{mission.id}:{kind}", mission.pick if kind is Kind.PICK else mission.drop
        before = self.open.get(name)
        if self.stations[cell].handshake == "none" or (before is not None and before.device == device):
            return
        signals = self.stations[cell].handshake
        made = Handshake(mission.id, kind, cell, device, mission.drop, self.clock.now())
        if isinstance(signals, StationSignals):
            made = replace(made, signalled=signals.release is not None)
        self.open[name] = made
        self._begun.append(made)

    def may_dock(self, mission: Mission, kind: Kind) -> bool:
        """Whether the vehicle may have the station's node."""
        return self._is(mission, kind, MAY_DOCK)

    def may_leave(self, mission: Mission, kind: Kind) -> bool:
        """Whether the vehicle may drive on from the station, or is done there."""
        return self._is(mission, kind, MAY_LEAVE)

    def handing(self) -> set[str]:
        """Missions whose load is at a station and not released yet."""
        return {
            each.mission
            for each in self.open.values()
            if each.kind is Kind.DROP and each.step not in MAY_LEAVE
        }

    def holds(self, handshake: Handshake) -> bool:
        """Whether it still stands where it was."""
        found = self.open.get(handshake.id)
        return found is not None and (found.step, found.since) == (handshake.step, handshake.since)

    def of(self, device: str) -> Handshake | None:
        """What a vehicle is in the middle of; the one that began last."""
        own = [each for each in self.open.values() if each.device == device and not each.ended]
        return own[-1] if own else None

    async def step(self, vehicle: VehicleSays, wanted: Collection[str]) -> None:
        """One look at all signals. ``wanted`` are missions that wait or are carried."""
        now = self.clock.now()
        changed = {each.id: each for each in self._begun}
        too_long: list[tuple[Handshake, str]] = []
        for name, before in self.open.items():
            signals = self._signals(before, vehicle(before))
            after = advanced(before, signals, now, wanted=before.mission in wanted)
            reason = "" if after.called else late(after, self._within(after), now)
            if reason:
                after = replace(after, called=True)
                too_long.append((after, reason))
            if after is not before:
                changed[name] = after
        # one that has ended is kept as long as its mission may ask for it
        gone = [n for n, each in self.open.items() if each.ended and each.mission not in wanted]
        if changed or gone:
            kept = list(changed.values())
            await self.store.run(lambda db: journal.keep_handshakes(db, kept, gone))
        self._adopt(changed, gone)
        for handshake, reason in too_long:
            self.on_late(handshake, reason)
        for handshake in [each for each in self.open.values() if not each.ended]:
            await self._tell(handshake, self._signals(handshake, vehicle(handshake)), now)

    def _adopt(self, changed: Mapping[str, Handshake], gone: Collection[str]) -> None:
        """What is on disk now is what counts."""
        self._begun = []
        for name, after in changed.items():
            if after.step is not self.open[name].step:
                log.info("handshake.step", handshake=name, step=str(after.step), device=after.device)
            self.open[name] = after
        for name in gone:
            del self.open[name]
            for on in (True, False):
                self._not_before.pop((name, on), None)
            self._said.pop(name, None)

    # --- inside -----------------------------------------------------------------------------------------

    def _is(self, mission: Mission, kind: Kind, steps: Collection[Step]) -> bool:
        """Only what is on disk counts."""
        cell = mission.pick if kind is Kind.PICK else mission.drop
        if self.stations[cell].handshake == "none":
            return True
        found = self.open.get(f"{mission.id}:{kind}")
        return found is not None and found not in self._begun and found.step in steps

    def _within(self, handshake: Handshake) -> Within:
        signals = self.stations[handshake.station].handshake
        return signals.within if isinstance(signals, StationSignals) else Within()

    def _signals(self, handshake: Handshake, says: Signals) -> Signals:
        """Both sides together. A device that somebody works at is not ready, whatever it says."""
        station = self.stations.get(handshake.station)
        signals = None if station is None else station.handshake
        if not isinstance(signals, StationSignals):
            return replace(says, ready=True, release=False)  # they have signals of their own
        names = [name for name in (signals.ready, signals.sensed, signals.release) if name is not None]
        values = self.devices.values(signals.device, names)
        free = not self.devices.refuses(signals.device) and not self._taken(handshake)
        return replace(
            says,
            ready=_flag(values.get(signals.ready)) if free else False,
            station=_flag(values.get(signals.sensed)),
            release=_flag(values.get(signals.release)) if signals.release is not None else False,
        )

    def _taken(self, handshake: Handshake) -> bool:
        """Whether another vehicle is at the station, or its release is not withdrawn yet."""
        return any(
            each.station == handshake.station
            and each.id != handshake.id
            and each.step not in (Step.WAITING, Step.READY)
            and not each.ended
            for each in self.open.values()
        )

    async def _tell(self, handshake: Handshake, signals: Signals, now: int) -> None:
        """Write the release where it is not as it should be; a level, so that twice is once."""
        station = self.stations.get(handshake.station)
        config = None if station is None else station.handshake
        coming = handshake.step in (Step.WAITING, Step.READY) and self._taken(handshake)
        if not isinstance(config, StationSignals) or config.release is None or coming:
            return
        on = release(handshake, signals)
        if (
            signals.release is None
            or signals.release is on
            or now < self._not_before.get((handshake.id, on), 0)
        ):
            return
        why = await self._write(config.device, config.release, on=on)
        self._not_before[handshake.id, on] = now + AGAIN
        if why != self._said.get(handshake.id, ""):
            self._said[handshake.id] = why
            if why:
                log.warning("handshake.not_told", handshake=handshake.id, release=on, reason=why)

    async def _write(self, device: str, tag: str, *, on: bool) -> str:
        """Through the driver's gate; why it was not done, empty when it was."""
        driver = self.devices.driver(device)
        if driver is None:
            return f"{device} is not connected"
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await driver.write(tag, on)
        except (WriteRefused, WriteFailed, WriteUnknown, DeviceLost, TimeoutError) as error:
            return str(error) or f"{device} did not answer within {WRITE_TIMEOUT:g} s"
        log.info("handshake.told", device=device, tag=tag, value=on)
        return ""


def _flag(value: Value) -> bool | None:
    return value if isinstance(value, bool) else None

"""What every carrier must do, whatever is behind the port: a vehicle's registers, a fleet's own manager."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.transport.missions import Mission, MissionEvent, MissionState
from edge.transport.port import Carrier

PATIENCE = 40.0
"""Seconds after which something that should have come counts as missing."""


@dataclass
class Floor(ABC):
    """One carrier with something real behind it: how a contract test sees it. ``async with`` opens it."""

    folder: Path
    missions: dict[str, Mission] = field(default_factory=dict)
    events: list[tuple[str, MissionEvent, str, str]] = field(default_factory=list)

    @property
    @abstractmethod
    def carrier(self) -> Carrier: ...

    @abstractmethod
    def brought(self) -> list[tuple[str, str]]:
        """What has physically been carried: from which workcell to which."""

    @abstractmethod
    def fail_next(self) -> None:
        """The next mission is given up on its way."""

    @abstractmethod
    async def lock(self) -> None:
        """Somebody works at all vehicles with their hands."""

    @abstractmethod
    async def unlock(self) -> None: ...

    @abstractmethod
    def restarted(self) -> contextlib.AbstractAsyncContextManager[None]:
        """From here on another edge process with the same disk, vehicles going on meanwhile."""

    @abstractmethod
    def opened(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Everything behind the carrier, running."""

    def want(self, name: str, pick: str, drop: str) -> None:
        self.missions[name] = Mission(name, name, f"job-{name}", pick, drop, len(self.missions))

    def report(self, mission: Mission, event: MissionEvent, device: str, reason: str) -> None:
        known = self.missions[mission.id]
        self.missions[mission.id] = known.after(event, device=device, reason=reason)
        self.events.append((mission.id, event, device, reason))

    async def step(self) -> None:
        waiting = [each for each in self.missions.values() if each.state is MissionState.WAITING]
        await self.carrier.step(waiting, self.report)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.step()
                await asyncio.sleep(0.05)

    def has(self, name: str, state: MissionState) -> Callable[[], bool]:
        return lambda: self.missions[name].state is state


class CarrierContract(ABC):
    """The tests; a subclass says what the floor is. Its missions lead from a to b, both of :attr:`ways`."""

    ways: tuple[tuple[str, str], tuple[str, str]]

    @abstractmethod
    def floor(self, folder: Path) -> Floor: ...

    async def test_every_mission_is_taken_once_carried_once_and_finished_once(self, tmp_path: Path) -> None:
        floor = self.floor(tmp_path)
        async with floor.opened():
            await floor.step()
            assert floor.events == []
            for number, (pick, drop) in enumerate(self.ways):
                floor.want(f"m{number}", pick, drop)
            await floor.until(
                lambda: all(each.state is MissionState.DONE for each in floor.missions.values())
            )
            for name in floor.missions:
                assert [e for n, e, _, _ in floor.events if n == name] == [
                    MissionEvent.TAKE,
                    MissionEvent.FINISH,
                ]
            assert sorted(floor.brought()) == sorted(self.ways)
            assert all(each.device for each in floor.missions.values()), "who carried it is said"

    async def test_a_mission_that_is_given_up_has_a_reason_and_is_not_tried_again(
        self, tmp_path: Path
    ) -> None:
        floor = self.floor(tmp_path)
        async with floor.opened():
            floor.fail_next()
            floor.want("m0", *self.ways[0])
            await floor.until(floor.has("m0", MissionState.FAILED))
            assert floor.missions["m0"].reason
            for _ in range(10):
                await floor.step()
            assert [event for _, event, _, _ in floor.events] == [MissionEvent.TAKE, MissionEvent.FAIL]
            assert floor.brought() == []

    async def test_a_locked_vehicle_gets_nothing(self, tmp_path: Path) -> None:
        floor = self.floor(tmp_path)
        async with floor.opened():
            await floor.lock()
            floor.want("m0", *self.ways[0])
            for _ in range(20):
                await floor.step()
                await asyncio.sleep(0.02)
            assert (floor.events, floor.brought()) == ([], [])
            await floor.unlock()
            await floor.until(floor.has("m0", MissionState.DONE))

    async def test_an_edge_that_restarts_does_not_send_a_mission_twice(self, tmp_path: Path) -> None:
        floor = self.floor(tmp_path)
        async with floor.opened():
            floor.want("m0", *self.ways[0])
            await floor.until(floor.has("m0", MissionState.UNDER_WAY))
            async with floor.restarted():
                await floor.until(floor.has("m0", MissionState.DONE))
            assert [event for _, event, _, _ in floor.events] == [MissionEvent.TAKE, MissionEvent.FINISH]
            assert floor.brought() == [self.ways[0]]

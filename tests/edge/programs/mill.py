"""A station with a mill that keeps its programs, a release list, and the keeper that looks after them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from drivers.driver import Driver
from drivers.profile.files import check_profile
from drivers.registry import driver_type
from edge.control.execution import Execution
from edge.control.machines import Facts
from edge.programs.book import Book, Known
from edge.programs.keeper import Keeper
from edge.programs.releases import load_releases
from edge.station import commands as asked
from protocols.documents import loads, parse
from protocols.lifecycles import CommandState
from protocols.site import Site
from protocols.states import Event
from tests.edge.edges import Edge, Hands, edge_with_stations
from tests.edge.test_config import SITE
from tests.edge.workcells import job_list, operation

PROFILE = """\
vendor: Acme
model: Mill
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state}
  program: {address: "holding:100", type: string, length: 20, role: program}
states:
  0: {item_state: not_executing}
  1: {item_state: executing}
"""
WITHOUT_STATE = PROFILE.partition("states:")[0].replace(", role: state", "")
PLACE = loads(
    SITE.replace("id: press-1, uuid", "id: brake-1, uuid").replace("[press-1]", "[brake-1]"), Site, "s"
)
JOB = msgspec.structs.replace(operation(), program="O1000")


@dataclass
class Mill:
    """The mill as the control sees it; ``connected`` None: it is away."""

    profile: Any
    connected: Driver[Any] | None
    book: Book = field(default_factory=Book)
    said: list[Event] = field(default_factory=list)
    server: Any = None

    def facts(self, device: str) -> Facts | None:
        if device != "press-1":
            return None
        here = self.connected is not None
        return Facts(device, "Mill 1", self.profile, here, programs=self.book.of(device))

    def driver(self, device: str) -> Driver[Any] | None:
        return self.connected if device == "press-1" else None

    def refuse(self, device: str) -> None:
        return None

    def known(self) -> Known:
        return self.book.of("press-1")["O1000"]

    def forget(self) -> None:
        """A restart: what was found is not known any more."""
        entries, self.book = self.book.releases, Book()
        self.book.renew(entries, PLACE, PLACE.devices())

    def renew(self, listed: Path) -> None:
        self.book.renew(load_releases(listed, PLACE), PLACE, PLACE.devices())


@contextlib.asynccontextmanager
async def mill(folder: Path, text: str = PROFILE) -> AsyncIterator[Mill]:
    """A mill on Modbus with its programs in a folder that is mounted here."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    profile = check_profile(parse(text, "mill.yaml"))
    kind = driver_type("modbus")
    async with kind.serve(profile) as server:
        options = {"program_folder": folder.as_posix(), "program_mount": False, "timeout": 0.5}
        async with kind.create(server.url, profile, options) as driver:
            yield Mill(profile, driver, server=server)


@contextlib.asynccontextmanager
async def shop(
    data: Path, machine: Mill, *, hands: Hands | None = None, sends: bool = True
) -> AsyncIterator[Edge]:
    """The station at work: its keeper, and where ``sends`` its commands."""
    held = hands or Hands()
    devices = {"press-1": ["brake-1"]}
    async with edge_with_stations(data, devices=devices, hands=held, machines=machine) as edge:
        machine.said.clear()
        clock, say = edge.stations.clock, machine.said.extend
        keeper = Keeper(machine.book, edge.control, edge.stations, machine, say, edge.store, clock)
        execution = Execution(edge.control, edge.stations, machine, clock, keeper)
        running = [asyncio.create_task(keeper.run())]
        if sends:
            running.append(asyncio.create_task(execution.run()))
        try:
            await edge.stations.jobs_received(job_list(JOB))
            yield edge
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def take_in_hand(edge: Edge, number: int = 1) -> None:
    await edge.stations.perform(
        "brake-1", asked.OpenRun(id=f"command-{number}", actor="K7", operations=("op-1",), setup=True)
    )


async def until(edge: Edge, holds: Callable[[], bool]) -> None:
    """Wait until something about the station is so; every change of it is told."""
    async with asyncio.timeout(15):
        while True:
            change = edge.stations.next_change("brake-1")
            if holds():
                return
            await change.wait()


def commands(edge: Edge) -> list[tuple[str, CommandState]]:
    """Commands of the station: what they were about and how they stand."""
    return [(each.target, each.state) for each in edge.control.controls.commands.values()]


def ended(edge: Edge, state: CommandState) -> Callable[[], bool]:
    return lambda: any(found is state for _, found in commands(edge))

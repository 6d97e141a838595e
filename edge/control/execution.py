"""Commands on their way to machines: *intent → sending → result*, each on disk before the next step.

A command is sent at most once. What was being sent when the edge went down is *unknown*: a parameter is
read back, everything else is settled by a person who looks. What was not sent yet by then is not sent any
more: whoever wanted it may have walked away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import structlog

from drivers.driver import (
    Confirmation,
    DeviceLost,
    Driver,
    DriverError,
    ReadFailed,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.profile.rules import Effect, same_kind
from edge.control.control import Control
from edge.control.controls import MachineCommand
from edge.control.machines import Machines
from edge.outbox.store import OutboxFullError
from edge.station.stations import Stations
from protocols.actions import MachineCommandEnded
from protocols.clock import Clock
from protocols.lifecycles import CommandState
from protocols.values import Quality

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between two looks at commands that wait for their machine, or have expired."""


class Programs(Protocol):
    """Who has the released programs: see ``edge.programs.keeper``."""

    async def deliver(
        self, device: str, program: str, value: Any, driver: Driver[Any], by: Confirmation
    ) -> str:
        """Send one; what to say of it. Raises DriverError."""

    async def found(
        self, device: str, program: str, value: Any, driver: Driver[Any]
    ) -> tuple[bool, str] | None:
        """Whether one whose fate is unknown was sent, and what to say; None when nobody can tell."""


READ_BACK = 10.0
"""Seconds after which reading back one unknown command is given up until the next look."""


@dataclass(slots=True)
class Execution:
    """Sends what stands in the journal. :meth:`run` until cancelled, once the stations are open."""

    control: Control
    stations: Stations
    machines: Machines
    clock: Clock
    programs: Programs | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    """Commands that are on their way, or are read back, by device."""
    _paused: Counter[str] = field(default_factory=Counter, init=False)
    """Devices that nothing begins at for the moment, and for how many reasons."""

    def __post_init__(self) -> None:
        self.control.on_change = self._news.set

    async def run(self) -> None:
        """Work until cancelled."""
        await self._after_restart()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                # What is unknown may stay so for long: it must not keep back what comes after it.
                for command in sorted(self.control.waiting(), key=_is_unknown):
                    if command.device not in self._busy and not self._paused[command.device]:
                        task = tasks.create_task(self._guarded(command), name=f"command-{command.id}")
                        self._busy[command.device] = task
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._news.wait()

    @contextlib.asynccontextmanager
    async def paused(self, device: str, seconds: float) -> AsyncIterator[bool]:
        """Let nothing begin at a device meanwhile: it waits. What is under way is waited for first, so many
        seconds at most; gives whether it has ended."""
        self._paused[device] += 1
        try:
            if task := self._busy.get(device):
                await asyncio.wait([task], timeout=seconds)
            yield device not in self._busy
        finally:
            self._paused[device] -= 1
            self._news.set()

    async def _after_restart(self) -> None:
        """What this process did not begin: nothing of it is sent."""
        for command in self.control.waiting():
            if command.state is CommandState.SENDING:
                await self._end(command, CommandState.UNKNOWN, "the edge went down while it was sent")
            elif command.state is CommandState.INTENDED:
                await self._end(command, CommandState.EXPIRED, "the edge went down before it was sent")

    async def _guarded(self, command: MachineCommand) -> None:
        try:
            await self._one(command)
        except OutboxFullError as error:
            log.error("command.disk_full", command=command.id, error=str(error))
            await asyncio.sleep(LOOK)
        finally:
            self._busy.pop(command.device, None)

    async def _one(self, command: MachineCommand) -> None:
        driver = self.machines.driver(command.device)
        if command.state is CommandState.UNKNOWN:
            if driver is not None:
                await self._read_back(command, driver)
        elif command.state is CommandState.SENDING:
            await self._end(command, CommandState.UNKNOWN, "it was cut off while it was sent")
        elif self.clock.now() >= command.expires:
            await self._end(command, CommandState.EXPIRED, "the machine could not be reached in time")
        elif (why := self.control.refuses(command.device)) != "":
            await self._end(command, CommandState.REFUSED, why)
        elif driver is not None:
            await self.stations.commit_control(self.control.send(command.id))
            await self._settle(command, *await self._send(command, driver))

    async def _send(self, command: MachineCommand, driver: Driver[Any]) -> tuple[CommandState, str]:
        """Send it once; what became of it. Cancelled in between, it stays *sending* on disk, and is unknown
        after the next start."""
        confirmation = Confirmation(command.actor, command.station, command.second)
        value = msgspec.json.decode(command.value)
        try:
            if command.what == "write":
                back = await driver.write(command.target, value, confirmation)
                return CommandState.DONE, f"read back {back.value}"
            if command.what == "program":
                if self.programs is None:
                    return CommandState.REFUSED, "this edge has no release list"
                return CommandState.DONE, await self.programs.deliver(
                    command.device, command.target, value, driver, confirmation
                )
            results = await driver.call(command.target, value, confirmation)
            return CommandState.DONE, msgspec.json.encode(dict(results)).decode() if results else ""
        except (WriteRefused, KeyError) as error:
            return CommandState.REFUSED, str(error.args[0] if error.args else error)
        except WriteUnknown as error:
            return CommandState.UNKNOWN, str(error)
        except (WriteFailed, ReadFailed, DeviceLost) as error:
            return CommandState.FAILED, str(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled but what a closing connection waited for.
            return CommandState.UNKNOWN, "the connection was closed while it was sent"
        except Exception as error:
            log.exception("command.driver_failed", command=command.id)
            return CommandState.UNKNOWN, f"{type(error).__name__}: {error}"

    async def _read_back(self, command: MachineCommand, driver: Driver[Any]) -> None:
        """A parameter that reads as it was written has taken effect, and a program by what lies there;
        anything else is a person's to say."""
        if command.what == "program":
            await self._find(command, driver)
            return
        tag = driver.profile.tags.get(command.target)
        if command.what != "write" or command.effect != Effect.PARAMETER or tag is None or not tag.readable:
            return
        wanted = msgspec.json.decode(command.value)
        try:
            async with asyncio.timeout(READ_BACK):
                (found,) = await driver.read([command.target])
        except (DriverError, TimeoutError) as error:
            log.info("command.not_read_back", command=command.id, cause=str(error))
            return
        if found.quality is Quality.GOOD and same_kind(found.value, wanted) and found.value == wanted:
            await self._end(command, CommandState.DONE, f"read back {found.value} afterwards")

    async def _find(self, command: MachineCommand, driver: Driver[Any]) -> None:
        try:
            found = self.programs and await self.programs.found(
                command.device, command.target, msgspec.json.decode(command.value), driver
            )
        except DriverError as error:
            log.info("command.not_read_back", command=command.id, cause=str(error))
            return
        if found:
            took_effect, detail = found
            await self._end(command, CommandState.DONE if took_effect else CommandState.FAILED, detail)

    async def _settle(self, command: MachineCommand, state: CommandState, detail: str) -> None:
        """Note what became of it, as soon as there is room for that: nobody else knows it."""
        while True:
            try:
                await self._end(command, state, detail)
            except OutboxFullError as error:
                log.error("command.disk_full", command=command.id, state=str(state), error=str(error))
                await asyncio.sleep(LOOK)
            else:
                return

    async def _end(self, command: MachineCommand, state: CommandState, detail: str) -> None:
        log.info("command.ended", command=command.id, device=command.device, state=str(state), detail=detail)
        event = MachineCommandEnded(command.id, command.device, str(state), detail[:500])
        await self.stations.controlled(command.station, [event], f"{command.id}.{state}", actor=command.actor)


def _is_unknown(command: MachineCommand) -> bool:
    return command.state is CommandState.UNKNOWN

"""Takes the blocks of one device while it is connected, beside the stream of its values.

What goes wrong here costs the device's waveforms, never its values: their numbers become bad, with a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from drivers.driver import Capability, Captured, Captures, Driver, DriverError, ReadFailed
from drivers.profile.features import waveform_of
from drivers.profile.profile import AnyProfile, Role
from drivers.profile.waveform import TURNS_IN_HZ
from edge.machine import Seen
from edge.waveforms.blocks import Blocks
from edge.waveforms.making import CHANGED, Taken, unread
from edge.waveforms.schedule import Schedule
from protocols.clock import Clock
from protocols.values import Reading, Reason, Value

log = structlog.get_logger(__name__)

LOOK = 0.5
"""Seconds between two looks at what the machine does; a trigger's rise is seen at once."""
STALE = 3
"""Times in a row that the machine shows the same block before its numbers count as stale."""
TIMEOUT = 60.0
"""Seconds that reading one block may take."""

Deliver = Callable[[list[Reading]], None]


@dataclass(slots=True)
class Taking:
    """The waveforms of one device.

    ``deliver`` takes the numbers; ``machine`` says what the machine does; ``values`` gives the newest good
    values of tags; ``time_of`` our time for a time of the device (µs UTC; None: it has none).
    """

    device: str
    profile: AnyProfile
    blocks: Blocks
    clock: Clock
    deliver: Deliver
    machine: Callable[[], Seen]
    values: Callable[[Iterable[str]], Mapping[str, Value]]
    time_of: Callable[[int | None], int]
    taken: int = field(default=0, init=False)
    """Blocks taken since the start."""
    _schedules: dict[str, Schedule] = field(init=False)
    _last: dict[str, tuple[int | None, bytes]] = field(default_factory=dict, init=False)
    """Source time and bytes of each waveform's newest block."""
    _same: dict[str, int] = field(default_factory=dict, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _defect: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._schedules = {
            name: Schedule(tag.waveform)
            for name, tag in self.profile.waveforms.items()
            if tag.waveform is not None
        }
        self.blocks.know(self.device, self.profile)

    @property
    def triggers(self) -> frozenset[str]:
        """Tags whose changes :meth:`notice` wants to hear."""
        waveforms = (schedule.waveform for schedule in self._schedules.values())
        return frozenset(each.trigger for each in waveforms if each.trigger is not None)

    def notice(self, tag: str, value: Value, *, good: bool) -> None:
        """A tag changed."""
        for schedule in self._schedules.values():
            if schedule.notice(tag, value, good=good):
                self._wake.set()

    async def run(self, driver: Driver[Any]) -> None:
        """Take blocks until cancelled."""
        self.blocks.know(self.device, self.profile)  # again: another profile may have been on trial meanwhile
        if not (Capability.WAVEFORMS in driver.capabilities and isinstance(driver, Captures)):
            why = f"the driver {self.profile.protocol} reads no arrays: remove the key waveform"
            log.error("waveforms.no_arrays", device=self.device, error=why)
            for name in self._schedules:
                self._bad(driver, name, Reason.CONFIGURATION, why)
            return
        while True:
            self._wake.clear()
            wait = await self._take_due(driver, driver) if self._knows_state() else LOOK
            try:
                async with asyncio.timeout(min(LOOK, wait)):
                    await self._wake.wait()
            except TimeoutError:
                pass  # time to look

    def _knows_state(self) -> bool:
        """Whether it is known what the machine does, where that can be known: every block has a regime."""
        return bool(self.machine().since) or not self.profile.has_state

    async def _take_due(self, driver: Driver[Any], reads: Captures) -> float:
        """Take the blocks that are due; seconds until the next one is, as far as time alone brings it."""
        waits = [LOOK]
        for name, schedule in self._schedules.items():
            wait = schedule.due_in(self.clock.monotonic(), self.machine().item_state)
            if wait == 0:
                await self._take(driver, reads, name, schedule)
                wait = schedule.due_in(self.clock.monotonic(), self.machine().item_state)
            waits.append(LOOK if wait is None else wait)
        return min(waits)

    async def _take(self, driver: Driver[Any], reads: Captures, name: str, schedule: Schedule) -> None:
        before = self.machine()
        try:
            async with asyncio.timeout(TIMEOUT):
                captured = await reads.capture(name)
        except ReadFailed as error:
            self._bad(driver, name, Reason.DEVICE_FAILURE, str(error))
        except TimeoutError:
            self._bad(driver, name, Reason.TIMEOUT, f"not read within {TIMEOUT:g} s")
        except (DriverError, OSError) as error:
            self._bad(driver, name, Reason.NOT_CONNECTED, str(error) or type(error).__name__)
        except Exception as error:  # a defect of a driver costs its waveforms, not its values
            cause = f"{type(error).__name__}: {error}"
            if cause != self._defect:
                log.exception("device.driver_failed", device=self.device)
            self._defect = cause
            self._bad(driver, name, Reason.OTHER, cause)
        else:
            await self._make(driver, name, captured, before)
        finally:
            schedule.taken(self.clock.monotonic())

    async def _make(self, driver: Driver[Any], name: str, captured: Captured, before: Seen) -> None:
        tag, waveform = waveform_of(self.profile, name)
        if self._is_old(name, captured):
            self._same[name] = self._same.get(name, 0) + 1
            if self._same[name] >= STALE:
                since = STALE * waveform.every
                self._bad(driver, name, Reason.STALE, f"the machine has shown the same block for {since:g} s")
            return
        self._same[name] = 0
        after = self.machine()
        changed = (before.item_state, before.word) != (after.item_state, after.word)
        taken = Taken(
            f"{self.device}/{name}",
            captured.values,
            self.time_of(captured.source_time),
            CHANGED if changed else self._regime(after),
            self._turns(waveform.shaft),
        )
        done = await self.blocks.make(name, tag, waveform, taken)
        self.taken += 1
        if done.problem:
            driver.problems[name] = done.problem
        else:
            driver.problems.pop(name, None)
        self.deliver(done.readings)

    def _is_old(self, name: str, captured: Captured) -> bool:
        """Whether the machine still shows the block before: by its own time, else because nothing changed.

        A time of its own must have gone on; where it has, be the block the same, it is a new one.
        """
        time, data = captured.source_time, captured.values.tobytes()
        before, self._last[name] = self._last.get(name), (time, data)
        if before is None:
            return False
        return time == before[0] if time is not None and before[0] is not None else data == before[1]

    def _regime(self, seen: Seen) -> str:
        """What the machine does, in its own words, and its program."""
        program = self.profile.tag_with(Role.PROGRAM)
        shown = self.values([program]).get(program, "") if program is not None else ""
        return f"{seen.word} {shown or ''}".strip()[:128]

    def _turns(self, shaft: float | str | None) -> float:
        if not isinstance(shaft, str):
            return shaft or 0.0
        speed = self.values([shaft]).get(shaft)
        if not isinstance(speed, int | float):
            return 0.0
        return min(1e6, max(0.0, speed * TURNS_IN_HZ[self.profile.tags[shaft].unit]))

    def _bad(self, driver: Driver[Any], name: str, reason: Reason, why: str) -> None:
        driver.problems[name] = why
        self.deliver(unread(name, self._schedules[name].waveform, reason))

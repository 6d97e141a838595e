"""The one owner of a device's I/O: connects, streams, and comes back when the device is lost.

Readings become samples: deadband, quality and strictly increasing time for each tag. The inner loop of
:meth:`Collector.deliver` runs for every reading of every poll; it looks for "nothing new" first and touches
nothing but lists and slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import structlog

from drivers.counting import Count
from drivers.driver import Capability, Driver, DriverError
from drivers.profile.profile import AnyProfile
from edge import identity
from edge.alarm_flow import AlarmFlow
from edge.alarms import Standing
from edge.backfill import Backfill, Gap
from edge.beside import beside, fill_gap, tell_alarms
from edge.device_clock import DeviceClock
from edge.machine import MachineWatch, watched_tags
from edge.recognition import Recognition
from edge.recorder import MAX_WAITING, Takes, Unheard
from edge.retry import Retry
from edge.tags import TagState, fitted, is_within, sampled
from edge.waveforms.blocks import Blocks
from edge.waveforms.taking import Taking
from protocols.catalogue import Catalogue
from protocols.clock import Clock
from protocols.site import Device
from protocols.states import AlarmChanged, DeviceHeartbeat, Event, Notice
from protocols.telemetry import Flag
from protocols.values import Quality, Reading, Reason, Value

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 30.0
MAX_WORDS, MAX_FIRMWARE = 1000, 128
"""Characters of a heartbeat's texts."""
FILLS = 2
"""Connections at which it is tried to fill a gap."""

_UNCERTAIN, _BAD = int(Quality.UNCERTAIN), int(Quality.BAD)
_FLAG = int(Reason.CLOCK_UNCERTAIN)
_NO_ANSWER = (Reason.NOT_CONNECTED, Reason.TIMEOUT)
"""Reasons of bad readings that do not show that the device is there."""


@dataclass(slots=True)
class Collector:
    """One device. :meth:`run` until cancelled; call :meth:`sweep` about every second.

    ``make_driver`` gives a new driver for every attempt. ``on_count`` hears the machine's part counter.
    """

    device: Device
    profile: AnyProfile
    make_driver: Callable[[], Driver[Any]]
    recorder: Takes
    clock: Clock
    catalogue: Catalogue
    machine: MachineWatch
    on_count: Callable[[str, Count], None] = lambda _device, _count: None
    jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2)
    backfill: Backfill | None = None
    """Reads back what the machine recorded while it was away; None: gaps stay gaps."""
    read_until: int = 0
    """Until when (µs UTC) all that it gave is on disk; from there it is read back. 0: nobody knows."""
    blocks: Blocks | None = None
    """Keeps the blocks of its waveforms; None: none are taken."""
    on_trial: bool = False
    """Whether nothing is told of it: it only shows whether a changed configuration works, or did its part."""
    opening: str = "edge started"
    """Why there is a gap before the first reading: said once, when it first runs."""
    connected: bool = field(default=False, init=False)
    last_read: int = field(default=0, init=False)
    """µs UTC of the last confirmed read."""
    detail: str = field(default="not connected yet", init=False)
    """Why it is not connected; empty while it is."""
    readings: int = field(default=0, init=False)
    """Readings delivered by the driver, for the metrics."""
    losses: int = field(default=0, init=False)
    tried_every: float = field(default=0.0, init=False)
    """Seconds between two attempts to reach it while it is demoted; 0 while it is not."""
    problems: Mapping[str, str] = field(default_factory=dict, init=False)
    """Why tags have no good value, in the machine's own words."""
    recognition: Recognition = field(init=False)
    """Whether it is the machine of its profile, and may be written to."""
    alarms: Standing = field(init=False)
    """The alarms it tells of by itself; those of tags are the machine's watch's."""
    taking: Taking | None = field(default=None, init=False)
    """Takes the blocks of its waveforms, where it has any."""
    flow: AlarmFlow = field(default_factory=AlarmFlow, init=False)
    """How many of all these are told."""
    _tags: dict[str, TagState] = field(default_factory=dict, init=False)
    _driver: Driver[Any] | None = field(default=None, init=False)
    """The driver that is connected, whether or not the machine has answered it yet."""
    _subscribed: bool = field(default=False, init=False)
    _answered: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set while the machine answers, and somebody hears it."""
    _filling: bool = field(default=False, init=False)
    """A gap is being filled, or waits for the next connection."""
    _fills_failed: int = field(default=0, init=False)
    _came_at: float | None = field(default=None, init=False)
    """When the machine first answered this connection, by the loop's clock."""
    _defect: str = field(default="", init=False)
    _times: DeviceClock = field(init=False)
    _said_lost: bool = field(default=False, init=False)
    _differs: str = field(default="", init=False)
    _beat: tuple[str, str] = field(default=("", ""), init=False)
    """What the last heartbeat said of the machine's identity."""
    _done: dict[str, float] = field(default_factory=dict, init=False)
    """When things were last done to the machine, over all its connections."""

    def __post_init__(self) -> None:
        self._times = DeviceClock(self.device.clock)
        self.alarms = Standing(self.device.id)
        self.recognition = Recognition(self.device.id, self.profile)
        numbers, watches = {t.path: t.number for t in self.catalogue.tags}, watched_tags(self.profile)
        if self.blocks is not None and self.profile.waveforms:
            self.taking = self._taking(self.blocks)
            watches |= self.taking.triggers
        for name, tag in sampled(self.profile).items():
            number = numbers[f"{self.device.id}/{name}"]
            self._tags[name] = TagState(name, tag, number, watched=name in watches)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            await self._run()
        finally:
            self._keep_read()
            self._answered.clear()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        if self.opening:
            # Whatever was read before this start: from here on there is a gap until the first reading.
            self.recorder.report([self._heartbeat(self.clock.now(), self.opening)])
            self.opening = ""
        retry = Retry(loop.time())
        while True:
            try:
                driver = self.make_driver()
                driver.done = self._done
                self.recognition.begin(driver)
                retry.demote_after = driver.config.demote_after
                self.problems = driver.problems
                async with contextlib.AsyncExitStack() as stack:
                    async with asyncio.timeout(CONNECT_TIMEOUT):
                        await stack.enter_async_context(driver)
                    self._reached(driver)
                    await self._identify(driver)
                    async with beside(self._beside(driver)):
                        await driver.stream(self.deliver)
                cause = "the driver stopped streaming"
            except TimeoutError:
                cause = f"{self.device.url}: no connection within {CONNECT_TIMEOUT:g} s"
            except (DriverError, OSError) as error:
                cause = str(error) or type(error).__name__
            except Exception as error:  # one driver's defect must not stop the other machines
                cause = f"{type(error).__name__}: {error}"
                if cause != self._defect:
                    log.exception("device.driver_failed", device=self.device.id)
                self._defect = cause
            came_at = self._went(cause)
            now = loop.time()
            wait = retry.failed(now, None if came_at is None else now - came_at)
            self.tried_every = wait if retry.is_demoted(now) else 0.0
            await asyncio.sleep(wait * self.jitter())

    @property
    def driver(self) -> Driver[Any] | None:
        """The connected driver, for whoever writes to the machine or asks it something; None without one."""
        return self._driver if self.connected else None

    @property
    def reads_well(self) -> bool:
        """Whether at least one tag has a value that is not bad."""
        tags = self._tags.values()
        return self.connected and (not tags or any(tag.reason >= 0 and not tag.is_bad for tag in tags))

    def heartbeat(self) -> DeviceHeartbeat:
        """Connection and last confirmed read, now."""
        self._keep_read()
        return self._heartbeat(self.clock.now(), self.detail)

    # --- the way of a sample --------------------------------------------------------------------------

    def deliver(self, readings: list[Reading]) -> None:
        """Take readings of the driver: what is new becomes samples."""
        now = self.clock.now()
        self.readings += len(readings)
        tags = self._tags
        rows = self.recorder.rows
        add_tag, add_time, add_value = rows.tags.append, rows.times.append, rows.values.append
        before = len(rows.tags)
        if not self.connected:
            self._hear(readings)
        seen = False
        watched: list[tuple[TagState, Value, int, str]] = []
        receive, time_of = self.device.clock == "receive", self._times.time
        uncertain = self.clock.uncertain
        for name, value, quality, reason, source in readings:
            tag = tags[name]
            if not quality:
                seen = True
                if tag.reason == 0 and (
                    value == tag.value or ((tag.band or tag.percent) and is_within(tag, value))
                ):
                    if now < tag.due:
                        tag.latest = value
                        continue
                elif (kind := tag.kind) is float:
                    if value.__class__ is not float or not isfinite(value):
                        value, quality, reason = fitted(tag, value)
                elif kind is int:
                    if value.__class__ is not int or not tag.low <= value <= tag.high:
                        value, quality, reason = fitted(tag, value)
                elif kind is str or value.__class__ is not bool:
                    value, quality, reason = fitted(tag, value)
            elif quality != _BAD:
                seen = True
                value, found, why = fitted(tag, value)
                if found:
                    quality, reason = found, why
            if quality:
                if quality == _BAD:
                    value = None
                reason = reason or Reason.OTHER
                if reason == tag.reason and (tag.is_bad if quality == _BAD else value == tag.value):
                    continue
            ts = now if source is None or receive else time_of(source, now)
            if ts <= tag.ts:
                ts = now if now > tag.ts else tag.ts + 1
            tag.ts = ts
            tag.due = now + tag.max_interval
            tag.value = tag.latest = value
            tag.reason = int(reason)
            tag.is_bad = quality == _BAD
            if quality:
                rows.flags.append(Flag(len(rows.tags), int(quality), int(reason)))
            elif uncertain:
                rows.flags.append(Flag(len(rows.tags), _UNCERTAIN, _FLAG))
            add_tag(tag.number)
            add_time(ts)
            add_value(value)
            if tag.watched:
                watched.append((tag, value, ts, "" if quality != _BAD else Reason(reason).name.lower()))
        if seen or not readings:
            self.last_read = now
        if watched:
            self._watch(watched)
        if len(rows.tags) > before:
            self.recorder.touch()
            if len(rows.tags) > MAX_WAITING:
                self.recorder.spill()

    def sweep(self) -> None:
        """Confirm subscribed values whose ``max_interval`` has passed, and open stops that are due.

        A subscription reports changes only; its watchdog ends the stream when data stops flowing. What is
        polled is confirmed by its own next read, and by nothing else.
        """
        now = self.clock.now()
        if self.connected and self._subscribed:
            self.last_read = now
            rows = self.recorder.rows
            for tag in self._tags.values():
                if tag.reason == 0 and now >= tag.due and tag.max_interval:
                    tag.ts = now if now > tag.ts else tag.ts + 1
                    tag.due, tag.value = now + tag.max_interval, tag.latest
                    if self.clock.uncertain:
                        rows.flags.append(Flag(len(rows.tags), _UNCERTAIN, _FLAG))
                    rows.tags.append(tag.number)
                    rows.times.append(tag.ts)
                    rows.values.append(tag.value)
            if rows.tags:
                self.recorder.touch()
        self._report(self.machine.tick(now), now)
        if not self.on_trial and (waited := self.flow.waited(now)):
            self.recorder.report(waited)
        if self.connected and self._beat != self._identity():
            self.recorder.report([self.heartbeat()])

    def _keep_read(self) -> None:
        """Until when nothing is missing: a gap that is being filled is still one."""
        if self.read_until and not self._filling and self._answered.is_set():
            self.read_until = max(self.read_until, self.last_read)
            self.recorder.read_until(self.device.id, self.read_until)

    def _watch(self, changes: list[tuple[TagState, Value, int, str]]) -> None:
        before = self.machine.count
        for tag, value, ts, trouble in changes:
            self._report(self.machine.value(tag.name, value, ts, trouble))
            if self.taking is not None:
                self.taking.notice(tag.name, value, good=not trouble)
        after = self.machine.count
        if after is not None and after is not before and not self.on_trial:
            self.on_count(self.device.id, after)

    # --- coming and going -----------------------------------------------------------------------------

    def _reached(self, driver: Driver[Any]) -> None:
        """A connection stands. A hung program accepts one, too: the machine is back when it answers."""
        self._driver = driver
        self._subscribed = Capability.SUBSCRIBE in driver.capabilities
        self.detail = f"{self.device.url}: accepts connections, but no value has come yet"
        if not self._tags:
            self._came()

    def _hear(self, readings: list[Reading]) -> None:
        """Whether the machine itself has answered, be it that a tag is none of its own."""
        if self._driver is not None and any(
            reading.quality != _BAD or reading.reason not in _NO_ANSWER for reading in readings
        ):
            self._came()

    def _came(self) -> None:
        now = self.clock.now()
        self._came_at = asyncio.get_running_loop().time()
        self.connected, self.detail, self.tried_every = True, "", 0.0
        self.recorder.report([*self.machine.connection(connected=True, ts=now), self._heartbeat(now, "")])
        if self._said_lost:
            log.info("device.back", device=self.device.id, address=self.device.url)
        elif not self.on_trial:
            log.info("device.connected", device=self.device.id, address=self.device.url)
        self._said_lost = False
        if not self.on_trial:
            self._answered.set()

    async def _beside(self, driver: Driver[Any]) -> None:
        """Once it answers: fill the gap before it came, and tell its alarms."""
        await self._answered.wait()
        gap = Gap(self.read_until, self.clock.now(), self._times.offset or 0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell_alarms(driver, self.alarms, self._tell, self.clock))
            if self.taking is not None:
                tasks.create_task(self.taking.run(driver))
            if self.backfill is not None and Capability.HISTORY in driver.capabilities:
                self._filling = gap.is_worth_it
                own = {name: tag for name, tag in self._tags.items() if name in self.profile.tags}
                done = not self._filling or await fill_gap(
                    driver, self.device.id, gap, own, self.backfill, self._tell
                )
                self._fills_failed = 0 if done else self._fills_failed + 1
                if done or self._fills_failed == FILLS:
                    self._filling, self._fills_failed, self.read_until = False, 0, gap.end

    def _tell(self, events: list[Event]) -> None:
        self._report(events)

    def _report(self, events: list[Event], now: int | None = None) -> None:
        """Report what the machine does; a flood of its alarms is held back."""
        if any(isinstance(event, AlarmChanged) for event in events):
            events = self.flow.through(events, self.clock.now() if now is None else now, hold=self.on_trial)
        self.recorder.report(events)

    async def _identify(self, driver: Driver[Any]) -> None:
        """Ask the machine what it is, and tell once when its profile was made for another."""
        await self.recognition.examine(driver)
        self._tell_differs()

    def _tell_differs(self) -> None:
        differs = self.recognition.differs
        if differs and differs != self._differs:
            self.recorder.report([Notice(self.clock.now(), "warning", identity.CODE, differs)])
        self._differs = differs

    def _taking(self, blocks: Blocks) -> Taking:
        def time_of(source: int | None) -> int:
            return self._times.time(source, self.clock.now())

        return Taking(
            self.device.id,
            self.profile,
            blocks,
            self.clock,
            self.deliver,
            lambda: self.machine.seen,
            self.values,
            time_of,
        )

    def values(self, names: Iterable[str]) -> dict[str, Value]:
        """The newest good values of some tags."""
        tags = {name: self._tags[name] for name in names if name in self._tags}
        return {name: tag.latest for name, tag in tags.items() if tag.reason == 0}

    def _went(self, cause: str) -> float | None:
        """The device is lost, or could not be reached: say so once, and mark its tags once.

        Since when it had answered, by the loop's clock; None when it never did.
        """
        now = self.clock.now()
        came_at, self._came_at = self._came_at, None
        self._keep_read()
        self._answered.clear()
        self._filling = False
        was_connected, self.connected, self.detail = self.connected, False, cause
        self._driver = self._times.offset = None
        self.recognition.end()
        gone = [name for name, tag in self._tags.items() if not tag.is_bad]
        if gone:
            self.deliver([Reading(name, None, Quality.BAD, Reason.NOT_CONNECTED) for name in gone])
        if was_connected or not self._said_lost:
            self.losses += was_connected
            self.recorder.report(
                [*self.machine.connection(connected=False, ts=now), self._heartbeat(now, cause)]
            )
        if not (self._said_lost or self.on_trial):
            log.warning("device.lost", device=self.device.id, address=self.device.url, cause=cause)
        self._said_lost = not self.on_trial
        return came_at

    # --- a changed configuration ----------------------------------------------------------------------

    def leave(self, cause: str) -> None:
        """It is not read any more: what it showed last is not true from now on."""
        was_connected, self._said_lost = self.connected, True
        self._went(cause)
        if not was_connected:
            self.recorder.report([self.heartbeat()])

    def retire(self, cause: str) -> None:
        """It leaves for good: what stood or was alarmed has ended."""
        self.leave(cause)
        now = self.clock.now()
        self._report([*self.machine.retire(now), *self.alarms.end(now)], now)

    def hand_over(self, successor: Collector) -> None:
        """From now on nobody hears it; tags that the successor does not go on with have ended."""
        self._keep_read()
        going_on = {tag.number for tag in successor._tags.values()}
        gone = [tag.name for tag in self._tags.values() if not tag.is_bad and tag.number not in going_on]
        if gone and self.last_read:
            self.deliver([Reading(name, None, Quality.BAD, Reason.NOT_CONNECTED) for name in gone])
        self.recorder, self.on_trial = Unheard(), True

    def join(self, recorder: Takes, before: Collector | None) -> None:
        """From now on it is the one that is recorded, in place of ``before``, which has handed over.

        Tags that mean what they meant go on where they were; what was read on trial is recorded.
        """
        old = {} if before is None else {tag.number: tag for tag in before._tags.values()}
        heard = [
            tag.reading()
            for tag in self._tags.values()
            if tag.reason >= 0 and not (before is not None and self._knows_less(tag, before))
        ]
        was_on_trial, self.recorder, self.on_trial = self.on_trial, recorder, False
        for tag in self._tags.values():
            tag.resume(old.get(tag.number))
        now = self.clock.now()
        if before is not None:
            self.opening, self._said_lost = "", before._said_lost and not self.connected
            self.readings += before.readings
            self.losses += before.losses
            self.last_read = max(self.last_read, before.last_read)
            self.read_until = before.read_until
            self._done.update(before._done)
            self._differs = before._differs
            self.alarms.take_over(before.alarms)
            self.flow.take_over(before.flow)
            self._report(self.machine.resume(before.machine, now), now)
        if not was_on_trial:
            return
        self._tell_differs()
        recorder.report([*self.machine.connection(connected=self.connected, ts=now), self.heartbeat()])
        self.deliver(heard)
        if self.connected:
            self._answered.set()
        # A state may mean something else now, though the machine's own word is the same.
        watched = [tag for tag in self._tags.values() if tag.watched and tag.reason >= 0]
        self._watch([(tag, tag.value, now, tag.trouble) for tag in watched])
        log.info("device.changed", device=self.device.id, address=self.device.url)

    def _knows_less(self, tag: TagState, before: Collector) -> bool:
        """Whether ``before`` saw the same tag change after this one did: its value is the newer one then."""
        known = before._tags.get(tag.name)
        if known is None or known.reason != 0 or known.ts < tag.ts:
            return False
        return sampled(self.profile)[tag.name] == sampled(before.profile)[tag.name]

    def _identity(self) -> tuple[str, str]:
        """How the connected machine differs from its profile, and its firmware that nobody has accepted."""
        return (self.recognition.warning, self.recognition.foreign_firmware) if self.connected else ("", "")

    def _heartbeat(self, now: int, detail: str) -> DeviceHeartbeat:
        self._beat = differs, firmware = self._identity()
        return DeviceHeartbeat(
            now,
            self.device.id,
            self.connected,
            self.last_read,
            detail,
            differs[:MAX_WORDS],
            firmware[:MAX_FIRMWARE],
            self.flow.standing,
            self.flow.untold,
        )

"""A changed configuration, taken up while the edge runs: checked as a whole, tried, swapped or rolled back.

Only the devices that differ are touched. Where a machine takes a second connection its changed driver is
tried beside the one that reads, and takes over after its first good reading; else the old connection is
closed first. What does not work within the probation is undone. Stations and outbox know nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from edge.catalogues import Catalogues
from edge.collector import Collector
from edge.config import Machine, Setup
from edge.devices import Devices
from edge.differences import Differences, applied_hashes, differences
from edge.outbox.store import OutboxFullError
from edge.recorder import Recorder
from edge.trial import Trial
from edge.watching import Watch, loaded
from protocols.catalogue import Catalogue
from protocols.clock import Clock
from protocols.documents import DocumentError
from protocols.states import ConfigApplied, Notice

log = structlog.get_logger(__name__)

POLL = 1.0
"""Seconds between two looks at the files."""
COMMAND_WAIT = 120.0
"""Seconds that a change waits for a command on its way to the machine. Then it is cut off, and is unknown."""
TOLD_PROBLEMS = 10
"""Mistakes of a file that an event names; health names more."""
SHOWN_PROBLEMS = 50

INVALID, ROLLED_BACK, RESTART = "config.invalid", "config.rolled_back", "config.restart"
"""Codes of notices."""
MAKE_ROOM = "make room on this PC's disk, then ask for a reload"


_Read = tuple[Setup, dict[str, str]]
"""A configuration as it was read, with the content hashes of its files."""


class ConfigHealth(msgspec.Struct, frozen=True):
    """What runs of the configuration on disk.

    ``problems``: why the files as they are now are not taken up (``file:line:col  what``). ``rejected``: why
    a device runs with its old configuration. ``trying``: devices whose changed configuration is on trial.
    ``restart``: what waits for the next start. ``hashes``: content of what runs, by what it is.
    """

    hashes: dict[str, str]
    problems: list[str]
    trying: list[str]
    rejected: dict[str, str]
    restart: list[str]


class Reload(msgspec.Struct, frozen=True):
    """Answer to a call for a reload: what the files ask for; it happens next, health tells how it went."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    rejected: list[str]
    restart: list[str]


@dataclass(slots=True)
class Reconfiguration:
    """The configuration of one edge while it runs. ``started`` is what it was started with.

    ``make`` builds a collector from a setup, a machine of it and the catalogue with its numbers.
    ``on_applied`` is told the hashes of what runs and of its catalogue, ``on_devices`` the workcells of each
    device.
    """

    path: Path
    started: Setup
    hashes: dict[str, str]
    devices: Devices
    recorder: Recorder
    catalogues: Catalogues
    clock: Clock
    make: Callable[[Setup, Machine, Catalogue], Collector]
    on_applied: Callable[[dict[str, str], bytes], None]
    on_devices: Callable[[Mapping[str, Sequence[str]]], None]
    on_setup: Callable[[Setup], None] = lambda _: None
    paused: Callable[[str, float], AbstractAsyncContextManager[bool]] = lambda *_: contextlib.nullcontext(
        True
    )
    """Lets no command begin at a device, once what is under way has ended; see ``Execution.paused``."""
    _running: dict[str, Machine] = field(init=False)
    _latest: Setup = field(init=False)
    _watch: Watch = field(init=False)
    _asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _answered: _Read | None = field(default=None, init=False)
    """What a call for a reload was answered from, until it is taken up."""
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _problems: list[str] = field(default_factory=list, init=False)
    _restart: tuple[str, ...] = field(default=(), init=False)
    _tried: dict[str, Machine] = field(default_factory=dict, init=False)
    """What failed its probation, by device: not tried again as it is."""
    _why: dict[str, str] = field(default_factory=dict, init=False)
    _trying: set[str] = field(default_factory=set, init=False)
    _ready: list[tuple[Collector, Collector | None, Machine]] = field(default_factory=list, init=False)
    _swapping: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        self._running = {machine.device.id: machine for machine in self.started.machines}
        self._latest = self.started
        self._watch = Watch(self.path, _more(self.started))

    @property
    def health(self) -> ConfigHealth:
        return ConfigHealth(
            dict(self.hashes),
            self._problems[:SHOWN_PROBLEMS],
            sorted(self._trying),
            dict(self._why),
            list(self._restart),
        )

    async def run(self) -> None:
        """Watch the files until cancelled."""
        watches = self.started.config.changes.watch
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._asked.wait()
            if self._asked.is_set():
                self._asked.clear()
                await self.apply(self._answered)
            elif watches and await asyncio.to_thread(self._watch.has_changed):
                await self.apply()

    def ask(self) -> None:
        """Take up the files as they are when they are read next."""
        self._answered = None
        self._asked.set()

    async def reload(self) -> Reload:
        """What the files as they are now ask for; just that is taken up next, whatever is written meanwhile.

        Raises:
            DocumentError: they cannot be used as they are; nothing is taken up.
        """
        try:
            read = await self._load()
        except DocumentError as error:
            self._refuse([str(problem) for problem in error.problems])
            raise
        plan = self._plan(read[0])
        self._answered = read
        self._asked.set()
        return Reload(
            [machine.device.id for machine in plan.added],
            [machine.device.id for machine in plan.changed],
            list(plan.removed),
            list(plan.rejected),
            list(plan.restart),
        )

    async def apply(self, read: _Read | None = None) -> None:
        """Take up what was ``read``, or the files as they are now, until every device has changed or been
        rolled back."""
        try:
            wanted, found = read or await self._load()
        except DocumentError as error:
            self._refuse([str(problem) for problem in error.problems])
            return
        self._problems, self._latest = [], wanted
        self._watch.also = _more(wanted)
        plan = self._plan(wanted)
        self._say_restart(plan.restart)
        asked = {machine.device.id: machine for machine in wanted.machines}
        for device in [*self._tried]:
            if asked.get(device) != self._tried[device]:
                del self._tried[device], self._why[device]
        if not plan.is_empty:
            log.info(
                "config.changing", added=len(plan.added), changed=len(plan.changed), removed=len(plan.removed)
            )
        if wanted.edge.id != self.started.edge.id:
            return
        await self._carry_out(plan, wanted)
        await self._settle(applied_hashes(self.hashes, found, self._running, asked))
        self.on_setup(wanted)

    async def announce(self, then: Callable[[], None]) -> None:
        """The catalogue has other tags beside those of the profiles now: make them known, and ``then`` begin
        to use them.

        Raises:
            OutboxFullError: there is no room; what runs is told as before.
        """
        async with self._swapping:
            catalogue = await self.catalogues.announce(self._running.values(), self.recorder.catalogue)
            self.recorder.switch(catalogue)
            then()
        self.on_applied(self.hashes, catalogue)

    @property
    def running(self) -> Mapping[str, Machine]:
        """What runs, by device."""
        return self._running

    async def _load(self) -> _Read:
        """One after the other: what is read later is newer, and what waits from before is outdated."""
        async with self._reading:
            self._answered = None
            return await asyncio.to_thread(loaded, self.path, self._latest.sources)

    def _plan(self, wanted: Setup) -> Differences:
        return differences(self.started, self._running, wanted, self._tried)

    # --- one change after the other -------------------------------------------------------------------

    async def _carry_out(self, plan: Differences, wanted: Setup) -> None:
        for machine in plan.relabelled:
            self._running[machine.device.id] = machine
        for device in plan.removed:
            await self._remove(device)
        async with asyncio.TaskGroup() as changes:
            for machine in (*plan.added, *plan.changed):
                changes.create_task(self._change(wanted, machine), name=f"change-{machine.device.id}")

    async def _remove(self, device: str) -> None:
        collector = self.devices.get(device)
        if collector is not None:
            await self._stop(collector)
            collector.retire("removed from the configuration")
        self.devices.forget(device)
        self._running.pop(device)
        log.info("device.removed", device=device)

    async def _change(self, wanted: Setup, machine: Machine) -> None:
        """Let one device run with its changed configuration, or with the one it has."""
        device = machine.device.id
        before = self.devices.get(device)
        self._trying.add(device)
        try:
            candidate = self.make(wanted, machine, await self.catalogues.numbered(machine))
            if before is None:
                candidate.opening = "new in the configuration"
            if before is None or not before.reads_well:
                await self._swap(candidate, before, machine)
                self.devices.start(candidate)
            else:
                await self._try(candidate, before, machine)
        except OutboxFullError as error:
            log.error("config.disk_full", device=device, error=str(error), next=MAKE_ROOM)
        finally:
            self._trying.discard(device)

    async def _try(self, candidate: Collector, before: Collector, machine: Machine) -> None:
        seconds = self.started.config.changes.probation
        beside = candidate.make_driver().sessions > 1
        if not beside:
            await self._stop(before, "its configuration was changed: connecting anew")
        trial = Trial(candidate)
        self.devices.start(candidate)
        why = await trial.failed(seconds)
        try:
            if not why:
                await self._swap(candidate, before, machine)
                return
        except OutboxFullError as error:
            log.error("config.disk_full", device=machine.device.id, error=str(error), next=MAKE_ROOM)
        await self.devices.stop([candidate])
        if not beside:
            self.devices.start(before)
        if why:
            self._roll_back(machine, why)

    def _roll_back(self, machine: Machine, why: str) -> None:
        device = machine.device.id
        self._tried[device], self._why[device] = machine, why
        text = (
            f"{device} runs with its old configuration: the changed one gave no good value within "
            f"{self.started.config.changes.probation:g} s ({why}). It is not tried again before it changes"
        )
        self.recorder.report([Notice(self.clock.now(), "error", ROLLED_BACK, text)])
        log.error("config.rolled_back", device=device, cause=why)

    async def _swap(self, candidate: Collector, before: Collector | None, machine: Machine) -> None:
        """The candidate takes over. Devices that are ready at the same time share one new catalogue."""
        self._ready.append((candidate, before, machine))
        async with self._swapping:
            if all(each is not candidate for each, _, _ in self._ready):
                return
            ready = list(self._ready)
            running = self._running | {machine.device.id: machine for _, _, machine in ready}
            try:
                catalogue = await self.catalogues.announce(running.values(), self.recorder.catalogue)
            except BaseException:
                self._ready = [each for each in self._ready if each[0] is not candidate]
                raise
            # Nothing waits from here on: no sample is appended between the old catalogue and the new one.
            del self._ready[: len(ready)]
            for new, old, _ in ready:
                if old is not None:
                    old.hand_over(new)
            self.recorder.switch(catalogue)
            for new, old, each in ready:
                new.join(self.recorder, old)
                self.devices.show(new)
                self._running[each.device.id] = each
        async with asyncio.TaskGroup() as ending:
            for _, old, _ in ready:
                if old is not None:
                    ending.create_task(self._stop(old))

    async def _stop(self, collector: Collector, cause: str = "") -> None:
        """End a collector, with a ``cause`` so that it shows; not in the middle of a command."""
        device = collector.device.id
        async with self.paused(device, COMMAND_WAIT) as ended:
            if not ended:
                log.warning("config.command_cut_off", device=device, waited=COMMAND_WAIT)
            await self.devices.stop([collector])
            if cause:
                collector.leave(cause)

    # --- saying so ------------------------------------------------------------------------------------

    async def _settle(self, hashes: dict[str, str]) -> None:
        """Tell the cloud what runs now, when that is something else."""
        changed = hashes != self.hashes
        applied = [ConfigApplied(self.clock.now(), hashes)] if changed else []
        try:
            async with self._swapping:
                catalogue = await self.catalogues.announce(
                    self._running.values(), self.recorder.catalogue, applied
                )
                self.recorder.switch(catalogue)
        except OutboxFullError as error:
            log.error("config.disk_full", error=str(error), next="make room; the cloud is told then")
            return
        self.hashes = hashes
        self.on_applied(hashes, catalogue)
        self.on_devices({id_: machine.device.workcells for id_, machine in self._running.items()})
        if changed:
            log.info("config.applied", devices=len(self._running))

    def _refuse(self, problems: list[str]) -> None:
        if problems == self._problems:
            return
        self._problems = problems
        more = len(problems) - TOLD_PROBLEMS
        shown = "; ".join(problems[:TOLD_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
        text = f"The changed configuration is not taken up, this edge runs on as before. {shown}"
        self.recorder.report([Notice(self.clock.now(), "error", INVALID, text)])
        for problem in problems[:SHOWN_PROBLEMS]:
            log.error("config.invalid", problem=problem)

    def _say_restart(self, restart: tuple[str, ...]) -> None:
        if restart and restart != self._restart:
            text = f"Changed, and taken up at the next start of this edge only: {', '.join(restart)}"
            self.recorder.report([Notice(self.clock.now(), "warning", RESTART, text)])
            log.warning("config.needs_restart", changed=", ".join(restart))
        self._restart = restart


def _more(setup: Setup) -> tuple[Path, ...]:
    """Files that neither ``edge.yaml`` names nor a folder that it names holds: the release list."""
    return tuple(path for name, path in setup.sources.items() if name == "programs")

"""Keeps released programs at the machines: looks at their copies, sends what an operation in hand needs.

What is sent is a command like any other (:mod:`edge.control`): intent on disk, then sent, then its result,
refused by a lock, by a foreign firmware and while the machine runs the program. What was edited at a machine
is told once and never overwritten by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import structlog

from drivers.capabilities import Capability
from drivers.driver import DeviceLost, Driver, DriverError
from drivers.errors import InUse, WriteRefused
from drivers.gate import Confirmation
from drivers.programs import Program, Standing, deliver, inspect, told_apart
from edge.control.control import Control
from edge.control.machines import Machines
from edge.outbox.store import OutboxFullError, Store
from edge.programs import journal
from edge.programs.book import Book, Known, State, judged
from edge.station.commands import SendProgram
from edge.station.refusals import Refusal
from edge.station.stations import Stations
from protocols.clock import Clock
from protocols.lifecycles import CommandState
from protocols.states import Event, Notice
from protocols.values import MICROSECONDS

log = structlog.get_logger(__name__)

LOOK = 1.0
"""Seconds between two turns; a machine's copy of one program at most is looked at in each."""
INSPECT = 300.0
"""Seconds after which a copy is looked at again."""
INSPECT_SOON = 10.0
"""The same for one that an operation in hand needs and that could not be read."""
INSPECT_TIMEOUT = 120.0
"""Seconds after which looking at one copy is given up: a file may have 64 MiB."""
SECONDS = 120
"""Until when a program that an operation needs is sent; after that it is tried anew."""
ATTEMPTS = 8
"""How often that is tried for one run: when it could not be sent at all or did not arrive, and only then."""
AGAIN = 20.0
"""Seconds before a program is sent again that did not arrive, or only in part, when the edge or the machine
went away: a server keeps the file locked until it has given up the old session."""
EDITED, PARTIAL = "program.edited", "program.partial"
"""Codes of notices."""


class Delivery(msgspec.Struct, frozen=True):
    """The value of a command that sends a program. ``overwrite`` is the hash of the edit that a person saw
    and gives up; ``stands``: that person says the machine does not run it."""

    sha256: str
    overwrite: str = ""
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """An operation in hand needs a program: the run, whose it is, and since when (µs UTC) it is as it is."""

    run: str
    station: str
    actor: str
    since: int


@dataclass(slots=True)
class Keeper:
    """Of one edge. :meth:`run` until cancelled, once the stations are open; ``report`` takes notices."""

    book: Book
    control: Control
    stations: Stations
    machines: Machines
    report: Callable[[list[Event]], None]
    store: Store
    clock: Clock
    _busy: set[str] = field(default_factory=set, init=False)
    _told: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    _refused: dict[str, str] = field(default_factory=dict, init=False)
    _again: dict[tuple[str, str, str], int] = field(default_factory=dict, init=False)
    """Device, program and hash of deliveries that did not arrive, and when (µs UTC) one may be sent anew."""

    async def run(self) -> None:
        """Work until cancelled."""
        self._told = await self.store.read(journal.load)
        async with asyncio.TaskGroup() as tasks:
            while True:
                wishes = self.wishes()
                if self.book.want(wishes):
                    self.stations.touch()
                for device in self.book.devices():
                    driver = self.machines.driver(device)
                    if driver is None or device in self._busy or Capability.FILES not in driver.capabilities:
                        continue
                    self._busy.add(device)
                    turn = self._turn(device, driver, wishes.get(device, {}))
                    tasks.create_task(turn, name=f"programs-{device}")
                await asyncio.sleep(LOOK)

    def wishes(self) -> dict[str, dict[str, Wish]]:
        """Released programs that operations in hand need, by device and program."""
        found: dict[str, dict[str, Wish]] = {}
        for device, stations in self.control.devices.items():
            known = self.book.of(device)
            for station in stations if known else ():
                for run, programs in self.stations.programs_in_hand(station):
                    for program in programs:
                        if program in known:
                            wish = Wish(run.id, station, run.actor, run.since)
                            found.setdefault(device, {})[program] = wish
        return found

    # --- for the execution of commands ------------------------------------------------------------------

    async def deliver(
        self, device: str, program: str, value: Any, driver: Driver[Any], by: Confirmation
    ) -> str:
        """Send a program as a command says; what to say of it.

        Raises:
            DriverError: it was refused, failed, or nobody knows; see ``drivers.programs.deliver``.
        """
        wanted = msgspec.convert(value, Delivery)
        known, releases = self.book.of(device).get(program), self.book.releases
        if known is None or releases is None or known.release.sha256 != wanted.sha256:
            raise WriteRefused(f'"{program}": it is released otherwise now — look again')
        if Capability.FILES not in driver.capabilities:
            raise WriteRefused(f'"{program}": nothing says where {device} keeps its programs')
        release = known.release
        try:
            content = await asyncio.to_thread(releases.content, release)
        except (OSError, ValueError) as error:
            raise WriteRefused(f'"{program}": its file cannot be read here: {error}') from error
        confirmation = by if wanted.stands else None
        earlier = {*release.earlier, *([wanted.overwrite] if wanted.overwrite else [])}
        try:
            sent = await deliver(driver, release.released, content, confirmation, earlier=earlier)
        except DriverError as error:
            if isinstance(error, InUse):
                known = replace(known, ran=True)
            await self._look_again(device, known, driver)
            raise
        self._again.pop((device, program, release.sha256), None)
        await self._learn(device, judged(known, sent, self.clock.now()))
        return f"read back {release.sha256[:12]}"

    async def found(
        self, device: str, program: str, value: Any, driver: Driver[Any]
    ) -> tuple[bool, str] | None:
        """Whether a delivery whose fate is unknown took effect, by what lies there; None: nobody can say."""
        known = self.book.of(device).get(program)
        if known is None or known.release.sha256 != msgspec.convert(value, Delivery).sha256:
            return None
        await self._look(device, known, driver)
        known = self.book.of(device).get(program, known)
        if known.state in (State.UNREADABLE, State.UNSEEN):
            return None
        arrived = known.state is State.RELEASED
        if not arrived:
            self._again.setdefault((device, program, known.release.sha256), self.clock.now())
        part = ", only its beginning" if known.state is State.PARTIAL else ""
        return arrived, f"the machine holds {known.found[:12] or 'nothing'}{part}, found afterwards"

    # --- looking ----------------------------------------------------------------------------------------

    async def _turn(self, device: str, driver: Driver[Any], wishes: Mapping[str, Wish]) -> None:
        try:
            known = self._due(device, wishes)
            if known is not None:
                await self._look(device, known, driver)
            for program, wish in wishes.items():
                await self._send(device, program, wish, driver)
        except OutboxFullError as error:
            log.error("program.disk_full", device=device, error=str(error))
        except DeviceLost as lost:
            log.info("program.not_looked_at", device=device, cause=lost.cause)
        except Exception:
            # One driver's defect must not end the care for the other machines.
            log.exception("program.driver_failed", device=device)
        finally:
            self._busy.discard(device)

    def _due(self, device: str, wishes: Mapping[str, Wish]) -> Known | None:
        """The program to look at now: what an operation in hand needs, then what was not seen longest."""
        now, moving = self.clock.now(), self._moving(device)
        found = [known for program, known in self.book.of(device).items() if program not in moving]
        for known in found:
            wish = wishes.get(known.release.program)
            unread = known.state in (State.UNSEEN, State.UNREADABLE)
            if wish is None or (known.looked >= wish.since and not unread):
                continue
            if known.looked < wish.since or now - known.looked >= INSPECT_SOON * MICROSECONDS:
                return known
        oldest = min(found, key=lambda known: known.looked, default=None)
        if oldest is None or (oldest.looked and now - oldest.looked < INSPECT * MICROSECONDS):
            return None
        return oldest

    def _moving(self, device: str) -> set[str]:
        """Programs that are on their way, or whose delivery nobody knows the end of: who sends them looks."""
        return {
            each.target for each in self.control.waiting() if (each.what, each.device) == ("program", device)
        }

    async def _look(self, device: str, known: Known, driver: Driver[Any]) -> None:
        """Look at one copy.

        Raises:
            DeviceLost: the machine does not answer.
        """
        now = self.clock.now()
        try:
            async with asyncio.timeout(INSPECT_TIMEOUT):
                (seen,) = await inspect(driver, [known.release.released])
        except TimeoutError:
            why = f"it could not be read within {INSPECT_TIMEOUT:g} s"
            seen = Program(known.release.released, Standing.UNREADABLE, detail=why)
        except DriverError:
            await self._learn(device, replace(known, looked=now))
            raise
        if seen.standing is Standing.EDITED and seen.found not in known.release.earlier:
            seen = await self._told_apart(seen, known)
        await self._learn(device, judged(known, seen, now))

    async def _told_apart(self, seen: Program, known: Known) -> Program:
        """An edit, or what is left of a transfer that did not end: only the released content can tell."""
        releases = self.book.releases
        try:
            content = await asyncio.to_thread(releases.content, known.release) if releases else b""
        except (OSError, ValueError) as error:
            log.warning("program.file_unreadable", program=known.release.program, cause=str(error))
            return seen
        return told_apart(seen, content)

    async def _look_again(self, device: str, known: Known, driver: Driver[Any]) -> None:
        """After a delivery that did not end well; a machine that is gone is looked at once it is back."""
        with contextlib.suppress(DriverError):
            await self._look(device, known, driver)

    async def _learn(self, device: str, known: Known) -> None:
        """Keep what was found, show it, and tell an edit or a part once."""
        if self.book.learn(device, known):
            self.stations.touch()
        key = (device, known.release.at_machine)
        found = known.found if known.state in (State.EDITED, State.PARTIAL) else ""
        if known.state in (State.UNSEEN, State.UNREADABLE) or self._told.get(key, "") == found:
            return
        if found:
            code = EDITED if known.state is State.EDITED else PARTIAL
            self.report([Notice(self.clock.now(), "warning", code, _told(device, known))])
            log.warning(code, device=device, program=known.release.at_machine, found=found)
        self._told[key] = found
        await self.store.run(lambda db: journal.keep(db, *key, found), urgent=False)

    # --- sending ----------------------------------------------------------------------------------------

    async def _send(self, device: str, program: str, wish: Wish, driver: Driver[Any]) -> None:
        """Want a program sent that an operation in hand needs, where nobody has to be asked for it."""
        known = self.book.of(device).get(program)
        if known is None or known.state not in (State.MISSING, State.OUTDATED, State.PARTIAL):
            return
        if not driver.profile.has_state:
            return  # nothing shows whether the machine runs it: a person says so, at F10
        name = self._next_name(device, known, wish)
        if name is None:
            return
        command = SendProgram(
            id=name,
            actor=wish.actor,
            device=device,
            program=program,
            sha256=known.release.sha256,
            seconds=SECONDS,
        )
        try:
            events = self.control.decide(wish.station, command, self.clock.now())
        except Refusal as refusal:
            if self._refused.get(device) != str(refusal):
                log.info("program.not_sent", device=device, program=program, cause=str(refusal))
            self._refused[device] = str(refusal)
            return
        self._refused.pop(device, None)
        await self.stations.controlled(wish.station, events, name, actor=wish.actor)

    def _next_name(self, device: str, known: Known, wish: Wish) -> str | None:
        """The id of the command: the same wish is one command, also after a restart. Only what was never
        sent, or was found not to have arrived, is wanted again."""
        release, now = known.release, self.clock.now()
        lost = (device, release.program, release.sha256)
        for attempt in range(ATTEMPTS):
            words = f"{wish.run} {' '.join(lost)} {attempt}"
            name = f"program-{hashlib.blake2b(words.encode(), digest_size=12).hexdigest()}"
            before = self.control.controls.commands.get(name)
            if before is None:
                if attempt and lost in self._again:
                    if now < self._again[lost]:
                        return None
                    self._again[lost] = now + int(AGAIN * MICROSECONDS)
                return name
            failed = before.state is CommandState.FAILED and lost in self._again
            if not (failed or before.state is CommandState.EXPIRED):
                return None
        return None


def _told(device: str, known: Known) -> str:
    """An edit or a part in words for people, with what to do."""
    name, release = known.release.at_machine, known.release
    if known.state is State.PARTIAL:
        return (
            f"{device}: only the beginning of {name} is at the machine, a transfer did not end. It must not "
            "run. It is sent again while an operation in hand needs it, or at the station (F10)"
        )
    return (
        f"{device}: {name} was edited at the machine: it holds {known.found[:12]}, released is "
        f"{release.sha256[:12]} (by {release.released_by}, {release.date}). Release the edit, or have it "
        "overwritten at the station (F10)"
    )

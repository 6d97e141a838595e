"""A worker who never gives up: books piece after piece, and asks again whenever an answer is missing.

Answers are missing because the edge was killed, and because the worker does not wait for some of them: what
was asked is then on the disk or not, and asking again must do it once in either case.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from edge.client import EdgeClient, EdgeRefusedError, EdgeUnreachableError
from edge.station.commands import Book, Booking, Command, CompleteRun, OpenRun, WriteShiftNote
from edge.station.refusals import Refusal
from edge.station.station_view import Receipt, StationView
from protocols.lifecycles import RunState

RUN_PIECES = 20
"""Pieces after which the worker ends the run; the operation goes on in the next one."""

IMPATIENT = 0.2
"""Share of commands whose first answer is not waited for."""


@dataclass(slots=True)
class Worker:
    """One at one station. ``accepted``: ids of actions by what an answer said is on disk."""

    client: EdgeClient
    station: str
    rng: random.Random
    pause: tuple[float, float] = (0.05, 0.3)
    accepted: set[str] = field(default_factory=set, init=False)
    booked: Counter[str] = field(default_factory=Counter, init=False)
    """Good pieces by operation, of accepted bookings."""
    notes: int = field(default=0, init=False)
    repeats: int = field(default=0, init=False)
    """Answers that said: I had that already."""
    refused: Counter[str] = field(default_factory=Counter, init=False)
    _made: int = field(default=0, init=False)

    async def work(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, and then until the last answer has come."""
        while not stop.is_set():
            command = await self._next()
            if command is not None:
                await self._do(command)
            await asyncio.sleep(self.rng.uniform(*self.pause))

    async def _next(self) -> Command | None:
        """What to do, as the station looks now; None while it does not answer."""
        try:
            seen = await self.client.station(self.station)
        except EdgeUnreachableError:
            return None
        self._made += 1
        name = f"{self.station}-{self._made}-{self.rng.getrandbits(40):010x}"
        if self._made % 10 == 0:
            return WriteShiftNote(id=name, actor="W1", note=f"note {self._made}")
        return self._production(seen, name)

    def _production(self, seen: StationView, name: str) -> Command | None:
        run = next((run for run in seen.runs if run.state is RunState.RUNNING), None)
        if run is None:
            operation = next((each for each in seen.queue if each.left > 1), None)
            if operation is None:
                return None
            return OpenRun(id=name, actor="W1", operations=(operation.operation.id,))
        if run.booked >= RUN_PIECES:
            return CompleteRun(id=name, actor="W1", run=run.id)
        operation_id = run.parts[0].view.operation.id
        return Book(id=name, actor="W1", run=run.id, booking=Booking(operation=operation_id, good=Decimal(1)))

    async def _do(self, command: Command) -> None:
        """Send a command until it is answered."""
        patience = self.rng.uniform(0.0, 0.03) if self.rng.random() < IMPATIENT else None
        while True:
            try:
                async with asyncio.timeout(patience):
                    receipt = await self.client.act(self.station, command)
            except TimeoutError:
                patience = None
            except EdgeUnreachableError:
                await asyncio.sleep(0.1)
            except Refusal as refusal:
                self.refused[refusal.code] += 1
                return
            except EdgeRefusedError as refused:
                if refused.status != 429:
                    raise
                await asyncio.sleep(0.5)
            else:
                self._note(command, receipt)
                return

    def _note(self, command: Command, receipt: Receipt) -> None:
        self.accepted.update(receipt.actions)
        self.repeats += receipt.repeated
        if isinstance(command, Book):
            self.booked[command.booking.operation] += 1
        self.notes += isinstance(command, WriteShiftNote)

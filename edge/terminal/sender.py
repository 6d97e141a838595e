"""Brings commands to the edge and snapshots to the terminal, for as long as it takes. No screen in here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.client import EdgeClient, EdgeRefusedError, EdgeUnreachableError
from edge.station.refusals import Refusal
from edge.terminal.session import Session

RETRY_SECONDS = 0.5
RATE_SECONDS = 1.0


@dataclass(slots=True)
class Sender:
    """Delivers the commands of a session one after the other: the second may depend on the first.

    ``changed`` is called after everything that a screen should show.
    """

    session: Session
    client: EdgeClient
    changed: Callable[[], None]
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.session.on_outgoing = self._wake.set

    async def deliver(self) -> None:
        """Send what is under way until cancelled. Without an answer the same command goes again: its id
        makes that harmless, and the screen says pending until there is one.
        """
        while True:
            self._wake.clear()
            while self.session.outgoing:
                await self._deliver_first()
                self.changed()
            await self._wake.wait()

    async def _deliver_first(self) -> None:
        command = self.session.outgoing[0]
        try:
            await self.client.act(self.session.station, command)
        except Refusal as refusal:
            self.session.refused(command, refusal)
        except EdgeUnreachableError:
            await asyncio.sleep(RETRY_SECONDS)
        except EdgeRefusedError as error:
            if error.code == "rate":
                await asyncio.sleep(RATE_SECONDS)
            else:
                self.session.refused(command, Refusal("edge", detail=str(error)))
        else:
            self.session.accepted(command)

    async def watch(self) -> None:
        """Hand every snapshot to the session until cancelled.

        Raises:
            EdgeRefusedError: the edge will not have this terminal.
        """
        async for view in self.client.live(self.session.station, role="terminal"):
            self.session.receive(view)
            self.changed()

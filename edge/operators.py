"""``onelot operators``: virtual operators at every station of given edges that has no terminal attached."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from edge.client import EdgeClient, EdgeRefusedError, EdgeUnreachableError, checked
from edge.station.refusals import Refusal
from edge.station.station_view import StationView
from edge.virtual_fitter import VirtualFitter
from edge.virtual_operator import Carry, Do, Push, VirtualOperator, Wait

if TYPE_CHECKING:
    from drivers.virtual.panel import Panel

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
MAX_PAUSE = 1.0
"""Longest time without a look at the station."""


@dataclass(slots=True)
class Presence:
    """One virtual operator or fitter at one station: sees its snapshots, does its deeds."""

    operator: VirtualOperator | VirtualFitter
    client: EdgeClient
    panel: Panel | None
    _view: StationView | None = field(default=None, init=False)
    _seen: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            while True:
                if self._view is None:
                    self._seen.clear()
                    await self._seen.wait()
                    continue
                await self._step(self._view)

    async def _watch(self) -> None:
        while True:
            try:
                async for view in self.client.live(self.operator.station, role="operator"):
                    self._view = view
                    self._seen.set()
            except EdgeRefusedError as error:
                log.error("operator.refused", station=self.operator.station, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self, view: StationView) -> None:
        deed = self.operator.think(view, time.monotonic())
        match deed:
            case Wait(seconds=seconds):
                self._seen.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(seconds, MAX_PAUSE)):
                        await self._seen.wait()
            case Do():
                await self._act(deed)
            case Push() | Carry() if self.panel is not None:
                await self._press(self.panel, deed)
            case _:
                pass

    async def _act(self, deed: Do) -> None:
        """Send a command until there is an answer, then look again: a snapshot may be older than it."""
        station = self.operator.station
        while True:
            try:
                await self.client.act(station, deed.command)
                log.info("operator.did", station=station, do=deed.command.do)
                self._view = await self.client.station(station)
                return
            except Refusal as refusal:
                log.info("operator.was_refused", station=station, do=deed.command.do, why=str(refusal))
                self.operator.refused(refusal, time.monotonic())
                return
            except EdgeUnreachableError:
                await asyncio.sleep(RETRY_SECONDS)
            except EdgeRefusedError as error:
                log.warning("operator.edge_refused", station=station, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _press(self, panel: Panel, deed: Push | Carry) -> None:
        from drivers.virtual.panel import Press

        match deed:
            case Push():
                press = Press(
                    machine=deed.device,
                    press=str(deed.button),
                    program=deed.program,
                    seconds_per_piece=deed.seconds_per_piece,
                )
            case Carry():
                press = Press(pick=deed.pick, drop=deed.drop)
        answer = await panel.press(press)
        if isinstance(deed, Push) and isinstance(self.operator, VirtualFitter) and answer.done:
            self.operator.saw(deed.device, answer.wear)
        if not answer.done:
            log.debug("operator.panel", station=self.operator.station, why=answer.why)


async def work(edges: dict[str, Path], seed: int, panel: tuple[str, int] | None) -> None:
    """Operators at all stations of the edges (API address → token file), until cancelled."""
    session = uuid.uuid4().hex[:12]
    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        hands: Panel | None = None
        if panel is not None:
            from drivers.virtual.panel import Panel

            hands = Panel(*panel)
            stack.push_async_callback(hands.close)
        for url, token_file in edges.items():
            tasks.create_task(_serve_edge(url, token_file, seed, session, hands))


async def _serve_edge(url: str, token_file: Path, seed: int, session: str, panel: Panel | None) -> None:
    """Wait for the edge, then one operator a station, and whoever mends its machines."""
    token = await _token(token_file)
    async with EdgeClient(url, token) as client:
        while True:
            try:
                stations = await client.stations()
                break
            except (EdgeUnreachableError, EdgeRefusedError) as error:
                log.info("operators.waiting", url=url, why=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            for summary in stations:
                operator = VirtualOperator(summary.station, seed, session, hands=panel is not None)
                tasks.create_task(Presence(operator, client, panel).run(), name=summary.station)
                fitter = VirtualFitter(summary.station, seed, session, hands=panel is not None)
                tasks.create_task(Presence(fitter, client, panel).run(), name=f"{summary.station} fitter")


async def _token(path: Path) -> str:
    """The token, as soon as the edge has written it."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            text = await asyncio.to_thread(path.read_text, "ascii")
            if text.strip():
                return text.strip()
        await asyncio.sleep(RETRY_SECONDS)


def command(
    edge: Annotated[list[str], typer.Option(help="URL=TOKENFILE of an edge; may be given several times.")],
    seed: Annotated[int, typer.Option(help="Same seed, same choices.")] = 1,
    panel: Annotated[
        str, typer.Option(help="HOST:PORT of the virtual factory's panels, to press its machines' buttons.")
    ] = "",
) -> None:
    """Run operators who work by themselves at every station without a terminal."""
    edges = dict(_pairs(edge))
    address = None
    if panel:
        host, _, port = panel.rpartition(":")
        if not host or not port.isdigit():
            raise typer.BadParameter(f'"{panel}" is not HOST:PORT, e.g. 127.0.0.1:14800')
        address = (host, int(port))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work(edges, seed, address))


def _pairs(texts: list[str]) -> Iterator[tuple[str, Path]]:
    for text in texts:
        url, sign, file = text.partition("=")
        if not sign or not file:
            raise typer.BadParameter(f'"{text}" is not URL=TOKENFILE, e.g. http://127.0.0.1:8801=api.token')
        try:
            checked(url)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        yield url, Path(file)

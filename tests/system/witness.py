"""The witness: told by the edges of every batch right after its commit, it remembers for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Key(NamedTuple):
    """A batch's identity; ``stream`` in hex."""

    stream: str
    lane: str
    seq: int


@dataclass(frozen=True, slots=True)
class Told:
    """What an edge said of a batch when it was on its disk."""

    edge: str
    key: Key
    digest: str
    count: int
    actions: tuple[str, ...]


@dataclass(slots=True)
class Witness:
    """Listens while ``async with`` lasts. ``told`` is never shortened, whatever happens to an edge."""

    told: dict[Key, Told] = field(default_factory=dict)
    forks: list[tuple[Told, Told]] = field(default_factory=list)
    """Batches that were told twice with different contents: one key must not mean two things."""
    _server: asyncio.Server | None = field(default=None, init=False)
    _talks: dict[asyncio.Task[None], str] = field(default_factory=dict, init=False)

    @property
    def address(self) -> str:
        """What ``onelot edge --witness`` takes."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Witness]:
        """Listen until the block is left."""
        self._server = await asyncio.start_server(self._listen, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            for task in self._talks:
                task.cancel()
            await self._server.wait_closed()

    async def silent(self, edge: str) -> None:
        """Wait until what an edge said before it was killed is heard to the end."""
        if talks := [task for task, name in self._talks.items() if name == edge]:
            await asyncio.wait(talks, timeout=5)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks[task] = ""
        try:
            with contextlib.suppress(OSError):  # reset by a kill: what was said in full is noted
                while (line := await reader.readline()).endswith(b"\n"):  # cut short it says nothing
                    self._talks[task] = self._note(json.loads(line))
        finally:
            del self._talks[task]
            writer.transport.abort()

    def _note(self, said: dict[str, Any]) -> str:
        key = Key(said["stream"], said["lane"], said["seq"])
        told = Told(said["edge"], key, said["digest"], said["count"], tuple(said["actions"]))
        before = self.told.setdefault(key, told)
        if before != told:
            self.forks.append((before, told))
        return told.edge

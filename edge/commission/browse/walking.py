"""All that lies below an address of a machine, level by level, and registers one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from drivers.capabilities import Browses, Looks
from drivers.driver import Driver, Found, ReadFailed
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.grid import Answer, Memory, sweep
from drivers.modbus.profile import Table
from edge.commission.browse.picking import Pick
from protocols.values import DataType

PAGE = 250
"""Nodes asked for at once: what comes must not keep a screen from answering keys."""
MOST = 200_000
"""Nodes that are listed without a screen."""
SERVER = "i=2253"
"""The server's own diagnostics: thousands of nodes that say nothing of the machine."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Node:
    """Something found, with the names of all above it and its own."""

    found: Found
    names: tuple[str, ...]

    @property
    def pick(self) -> Pick:
        """It as something picked."""
        each = self.found
        return Pick(each.address, self.names, each.type, each.writable, each.detail)


def opens(found: Found) -> bool:
    """Whether it is worth looking below: folders, and variables whose parts may be variables."""
    return found.has_children or (found.kind == "variable" and found.type is None)


async def below(driver: Driver[Any], address: str) -> AsyncIterator[list[Found]]:
    """What is directly below an address, a page at a time where the driver can.

    Raises:
        ReadFailed: there is no such address.
        DeviceLost: the machine does not answer.
    """
    paged = getattr(driver, "browse_pages", None)
    if paged is None:
        yield await cast("Browses", driver).browse(address)
        return
    async for page in paged(address, PAGE):
        yield page


async def walk(driver: Driver[Any], under: str, depth: int | None, progress: Progress) -> AsyncIterator[Node]:
    """Everything below an address, ``depth`` levels of it, each address once, the inner after their folder.

    Raises:
        ReadFailed: the address itself is not there, or more than :data:`MOST` are.
        DeviceLost: the machine does not answer.
    """
    seen = {under} if under else {SERVER}
    stack: list[tuple[str, tuple[str, ...], int]] = [(under, (), 1)]
    count = 0
    while stack:
        address, names, level = stack.pop()
        inner: list[tuple[str, tuple[str, ...], int]] = []
        try:
            async for page in below(driver, address):
                for found in page:
                    if found.address in seen:
                        continue
                    seen.add(found.address)
                    node = Node(found, (*names, found.name))
                    count += 1
                    if count > MOST:
                        raise TooMuch(f"more than {MOST:,} nodes — say --under ADDRESS or --depth N")
                    yield node
                    if opens(found) and (depth is None or level < depth):
                        inner.append((found.address, node.names, level + 1))
                progress(f"{count:,} nodes")
        except TooMuch:
            raise
        except ReadFailed as error:
            if not names:
                raise
            progress(f"not listed: {'/'.join(names)}: {error}")
        stack += reversed(inner)


class TooMuch(ReadFailed):
    """More than is listed."""


async def counted(driver: Driver[Any], picks: Sequence[Pick]) -> list[Pick]:
    """Picks with the number of elements of those that are arrays, as they are now."""
    arrays = [pick.address for pick in picks if pick.detail.startswith("array") and not pick.count]
    if not arrays or not isinstance(driver, Looks):
        return list(picks)
    sizes = {seen.address: seen.elements for seen in await driver.look(arrays)}
    return [
        Pick(p.address, p.names, p.type, p.writable, p.detail, sizes.get(p.address) or p.count)
        if p.address in sizes
        else p
        for p in picks
    ]


async def read_registers(
    driver: ModbusDriver, memory: Memory, start: int, count: int, progress: Progress
) -> None:
    """Read addresses of a table into its memory, around what is refused.

    Raises:
        DeviceLost: the device does not answer.
    """
    reading = sweep(memory, start, count)
    piece = next(reading, None)
    while piece is not None:
        answer: Answer = await driver.block(memory.table, piece)
        try:
            piece = reading.send(answer)
        except StopIteration:
            return
        known = sum(start <= address < start + count for address in (*memory.words, *memory.refused))
        progress(f"{known:,} of {count:,} addresses")


def register_picks(table: Table, addresses: Iterable[int]) -> Iterator[Pick]:
    """Every address as a tag of its own."""
    kind = DataType.BOOL if table.bits else DataType.UINT16
    for address in addresses:
        yield Pick(f"{table}:{address}", (f"{table}_{address}",), kind)

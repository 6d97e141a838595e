"""A bus that several units share: one connection, one request at a time, and a silent unit that costs its
neighbours nearly nothing.

Every driver has a :class:`Seat`. Seats of one event loop at the same bus share a connection, which is closed
when the last one leaves. A unit that does not answer is demoted: it is asked again at growing intervals, by
one request, and what is asked of it meanwhile is answered with silence at once.
"""

from __future__ import annotations

import asyncio
import heapq
import weakref
from collections import OrderedDict
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drivers.driver import DriverError
from drivers.modbus.address import Bus
from drivers.modbus.planning import Span
from drivers.modbus.profile import Table
from drivers.modbus.wire import Asks, Garbled, Hangup, Lane, Silence, check_echo, read_request, register_write
from drivers.trace import Tap, Traffic

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

AGAIN_FIRST, AGAIN_MOST = 1.0, 60.0
"""Seconds until a demoted unit is asked again: doubling from the first to the last."""


class Demoted(Silence):
    """Nothing was sent: the unit has not answered for long and is asked again later."""


class Unwritten(DriverError):
    """A write that was not tried."""


class Turns:
    """One at a time: urgent ones first, the others in the order they asked."""

    def __init__(self) -> None:
        self.busy = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._asked = 0

    async def wait(self, *, urgent: bool) -> None:
        """Wait for one's turn while it is ``busy``; it stays busy, and is ours."""
        turn = asyncio.get_running_loop().create_future()
        self._asked += 1
        heapq.heappush(self._waiting, (0 if urgent else 1, self._asked, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was ours already
            raise

    def leave(self) -> None:
        """Give the turn to the next one."""
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self.busy = False


@dataclass(slots=True)
class _Unit:
    """How a unit has been answering. ``again`` by the loop's clock: not asked before."""

    silences: int = 0
    wait: float = 0.0
    again: float = 0.0


@dataclass(slots=True)
class _Shared:
    """One bus in one event loop."""

    bus: Bus
    lane: Lane | None = None
    seats: int = 0
    turns: Turns = field(default_factory=Turns)
    units: dict[int, _Unit] = field(default_factory=dict)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    taps: list[Tap] = field(default_factory=list)

    def tell(self, traffic: Traffic) -> None:
        """Everybody who looks sees the whole bus."""
        for tap in self.taps:
            tap(traffic)

    def look(self) -> None:
        """Let the connection tell, where somebody looks."""
        if self.lane is not None:
            self.lane.tap = self.tell if self.taps else None


_shared: MutableMapping[asyncio.AbstractEventLoop, dict[Bus, _Shared]] = weakref.WeakKeyDictionary()
"""Of each event loop; a bus is in it while somebody has a seat."""


REMEMBERED = 256
"""Devices of which is remembered what was learnt, those that joined last."""


@dataclass(slots=True)
class Memory:
    """What was learnt of a device and holds over connections.

    Only what costs nothing when it is no longer true: a cut makes one request more, an illegal address would
    be a value that is not read although a PLC has loaded its program meanwhile.
    """

    cuts: set[tuple[Table, int, int]] = field(default_factory=set)
    reports: bool = True
    """Whether it may be asked for its server id (function 17)."""


_memories: MutableMapping[asyncio.AbstractEventLoop, OrderedDict[tuple[Bus, int, int], Memory]] = (
    weakref.WeakKeyDictionary()
)


def remembered(bus: Bus, unit: int, spans: Iterable[Span]) -> Memory:
    """What is known of a unit for this set of tags; kept for the next who asks in this event loop."""
    memories = _memories.setdefault(asyncio.get_running_loop(), OrderedDict())
    key = (bus, unit, hash(frozenset(spans)))
    found = memories.setdefault(key, Memory())
    memories.move_to_end(key)
    if len(memories) > REMEMBERED:
        memories.popitem(last=False)
    return found


class Seat(Asks):
    """One unit's place on a bus.

    Args:
        bus: where.
        unit: whose.
        timeout: seconds to wait for each reply.
        demote_after: replies missing in a row until it is demoted, if there are neighbours.
        share: whether the connection may be shared; else it is this seat's own.
        tap: is told of every frame on the bus while the seat is taken.
    """

    def __init__(
        self,
        bus: Bus,
        unit: int,
        timeout: float,
        demote_after: int,
        *,
        share: bool = True,
        tap: Tap | None = None,
    ) -> None:
        self._bus, self._unit, self._timeout = bus, unit, timeout
        self._demote_after, self._share, self._tap = demote_after, share, tap
        self._shared: _Shared | None = None

    async def join(self) -> None:
        """Take the seat; opens the connection where there is none that stands.

        Raises:
            ConnectError: it cannot be opened; says why.
        """
        here = _shared.setdefault(asyncio.get_running_loop(), {})
        shared = here.setdefault(self._bus, _Shared(self._bus)) if self._share else _Shared(self._bus)
        shared.seats += 1
        self._shared = shared
        if self._tap is not None:
            shared.taps.append(self._tap)
        async with shared.opening:
            if shared.lane is None or not shared.lane.up:
                old, shared.lane = shared.lane, None
                if old is not None:
                    old.close()
                lane = Lane(self._bus, self._timeout)
                try:
                    await lane.connect()
                except BaseException:
                    lane.close()
                    raise
                shared.lane = lane
            shared.look()

    async def leave(self) -> None:
        """Give the seat up; the last one closes the connection. Harmless when it was given up already."""
        shared, self._shared = self._shared, None
        if shared is None:
            return
        shared.seats -= 1
        if self._tap is not None:
            shared.taps.remove(self._tap)
            shared.look()
        if shared.seats:
            return
        here = _shared.get(asyncio.get_running_loop(), {})
        if here.get(self._bus) is shared:
            del here[self._bus]
        lane, shared.lane = shared.lane, None
        if lane is not None:
            lane.close()
        await asyncio.sleep(0)  # a closing transport finishes, so that nothing of it outlives the loop

    @property
    def alone(self) -> bool:
        """Whether nobody else uses the connection."""
        return self._shared is None or self._shared.seats == 1

    async def ask(self, request: ModbusPDU, *, urgent: bool = False) -> ModbusPDU:
        """See :meth:`Asks.ask`.

        Raises:
            Demoted: nothing was sent. Never of what is urgent.
        """
        shared = self._shared
        if shared is None or shared.lane is None:
            raise Hangup("the connection is closed")
        unit = shared.units.get(self._unit)
        if unit is not None and unit.wait and not urgent and shared.seats > 1:
            left = unit.again - asyncio.get_running_loop().time()
            if left > 0:
                raise Demoted(f"unit {self._unit} does not answer; it is asked again in {left:.0f} s")
        turns = shared.turns
        if turns.busy:
            await turns.wait(urgent=urgent)
        turns.busy = True
        try:
            if shared.lane is None:
                raise Hangup("the connection is closed")
            reply = await shared.lane.ask(request, timeout=self._timeout)
        except Silence:
            self._silent(shared)
            raise
        except Hangup:
            raise
        except Exception:
            shared.units.pop(self._unit, None)  # it refused, but it is there
            raise
        finally:
            turns.leave()
        if unit is not None:
            shared.units.pop(self._unit, None)
        return reply

    async def change_bit(self, start: int, bit: int, value: bool, *, single: int) -> None:
        """Read a holding register and write it back with one bit changed; on this bus nothing comes between.

        Raises:
            Unwritten: nothing was written, because the register could not be read.
            Silence, Hangup, Refused: of the write.
        """
        shared = self._shared
        if shared is None or shared.lane is None:
            raise Hangup("the connection is closed")
        if shared.turns.busy:
            await shared.turns.wait(urgent=True)
        shared.turns.busy = True
        try:
            lane = shared.lane
            if lane is None:
                raise Hangup("the connection is closed")
            try:
                data = await lane.read(read_request(Table.HOLDING, start, 1, self._unit))
                if len(data) != 2:
                    raise Garbled(f"answered {len(data)} bytes instead of 2")
            except DriverError as error:
                raise Unwritten(f"the register could not be read: {error}") from error
            register = int.from_bytes(data, "big") & ~(1 << bit) | value << bit
            request = register_write(self._unit, start, register, single)
            check_echo(request, await lane.ask(request, timeout=self._timeout))
        finally:
            shared.turns.leave()

    def _silent(self, shared: _Shared) -> None:
        unit = shared.units.setdefault(self._unit, _Unit())
        unit.silences += 1
        if unit.silences >= self._demote_after:
            unit.wait = min(AGAIN_MOST, 2 * unit.wait or AGAIN_FIRST)
            unit.again = asyncio.get_running_loop().time() + unit.wait

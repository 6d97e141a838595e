"""Which units answer on a Modbus bus: one small question to each, with a pause after it.

A scan disturbs: on a serial line every silent unit costs its time limit, in which nobody else is asked, and a
device of another make may take the question amiss. So it is slow, and only done when somebody asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from drivers.driver import DeviceLost, Identity
from drivers.modbus.address import Bus
from drivers.modbus.profile import Table
from drivers.modbus.trace import EXCEPTIONS
from drivers.modbus.wire import Hangup, Lane, Refused, Silence, read_request

UNITS = range(1, 248)
"""Units that may be on a serial line (Modbus over Serial Line V1.02, 2.2)."""

_NOBODY = (10, 11)
"""Exceptions by which a gateway says that nobody is there."""
_HANGUPS = 3
"""Connections in a row that break before the scan gives up."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that answered: after how many seconds, what, and what it says it is."""

    unit: int
    seconds: float
    answer: str
    who: Identity


async def scan(
    bus: Bus,
    units: Iterable[int],
    timeout: float,
    pause: float,
    told: Callable[[int, Unit | None], None],
) -> None:
    """Ask units one after the other for one register, and those that answer what they are.

    Args:
        bus: where; the connection is the scan's own.
        units: whom to ask.
        timeout: seconds to wait for each.
        pause: seconds of silence after each, for others on the bus.
        told: takes each unit that was asked, and what it answered.

    Raises:
        ConnectError: the bus cannot be opened.
        DeviceLost: its connection breaks again and again.
    """
    lane, hangups = Lane(bus, timeout), 0
    try:
        await lane.connect()
        for unit in units:
            if not lane.up:
                lane.close()
                lane = Lane(bus, timeout)
                await lane.connect()
            try:
                told(unit, await _asked(lane, unit))
                hangups = 0
            except Hangup as hangup:
                # Some gateways hang up instead of saying that nobody is there.
                hangups += 1
                if hangups == _HANGUPS:
                    raise DeviceLost(str(bus), f"{hangup}, {hangups} times in a row") from hangup
                told(unit, None)
            await asyncio.sleep(pause)
    finally:
        lane.close()
        await asyncio.sleep(0)  # a closing transport finishes, so that nothing of it outlives the loop


async def _asked(lane: Lane, unit: int) -> Unit | None:
    clock = asyncio.get_running_loop().time
    begin = clock()
    try:
        data = await lane.read(read_request(Table.HOLDING, 0, 1, unit))
        answer = f"holding:0 = {int.from_bytes(data, 'big')}"
    except Silence:
        return None
    except Refused as refused:
        if refused.code in _NOBODY:
            return None
        answer = f"no holding:0 ({EXCEPTIONS.get(refused.code, refused.code)})"
    seconds = clock() - begin
    try:
        who = await lane.identify(unit) or Identity()
    except (Silence, Hangup):
        who = Identity()  # many old devices take the question for noise
    return Unit(unit, seconds, answer, who)

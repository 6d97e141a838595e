"""10,000 Modbus registers a second on one edge, configured tag by tag: the CPU of the edge process.

2,000 registers of one device, each a tag of its own in the profile, five times a second. The edge is the
real one with a real broker, and the cloud acknowledges. Beside it, in the same run, bare pymodbus reads the
same registers with requests made by hand and does nothing with them.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from pymodbus.client import AsyncModbusTcpClient

from tests.bench.figures import Figure, Size, median, missing
from tests.bench.moving import DEADBAND, PERIOD, moving, write_profile
from tests.bench.site import lacking, per_reading, site

REGISTERS = 2000
A_SECOND = REGISTERS / PERIOD
BLOCK = 125
TARGET = 8.0
_MOVES = {
    "shop": "each poll 10 % of the values jump, 40 % move within their deadband",
    "all": "every value changes at every poll: 10,000 samples/s to disk and broker",
    "still": "no value changes",
}


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing("edge, 10,000 registers/s", "% of a core", lack, TARGET)]
    seconds, count = size.of(3, 7), size.of(1, 3)
    with tempfile.TemporaryDirectory() as folder:
        profile = write_profile(Path(folder), "modbus", REGISTERS, deadband=DEADBAND)
        async with moving(profile) as machine:
            bare = [await _bare(machine.url, seconds)]
            cost: dict[str, list[float]] = {}
            rates: dict[str, list[float]] = {}
            async with site(Path(folder), {"plc-1": ("bench/modbus", machine.url)}) as made:
                await made.start()
                for how in _MOVES:
                    await machine.move(how)
                    await asyncio.sleep(3)  # warm, and nothing of the move before is on its way
                    found = [await per_reading(made, seconds) for _ in range(count)]
                    cost[how], rates[how] = [a for a, _ in found], [b for _, b in found]
            bare.append(await _bare(machine.url, seconds))
    return _figures(cost, rates, bare)


def _figures(cost: dict[str, list[float]], rates: dict[str, list[float]], bare: list[float]) -> list[Figure]:
    figures = []
    for how, note in _MOVES.items():
        load = [each * A_SECOND / 1e4 for each in cost[how]]  # µs a register → % of a core
        reached = f"; {min(rates[how]):,.0f} registers/s were read"
        target = TARGET if how == "shop" else None
        figures.append(
            median(f"edge, 10,000 registers/s: {how}", load, "% of a core", target, note=note + reached)
        )
    middle = median("bare pymodbus, the same registers", bare, "µs/register", note="requests made by hand")
    assert middle.reached is not None
    shop = median("edge: shop", cost["shop"], "µs/register")
    assert shop.reached is not None
    return [*figures, shop, middle, Figure("edge : bare pymodbus", shop.reached / middle.reached, "×")]


async def _bare(url: str, seconds: float) -> float:
    """CPU µs a register of this process, which does nothing else."""
    parts = urlsplit(url)
    client = AsyncModbusTcpClient(parts.hostname or "", port=parts.port or 502)
    await client.connect()
    read = 0
    began, due = time.process_time(), time.monotonic()
    end = due + seconds
    while due < end:
        for start in range(0, REGISTERS, BLOCK):
            reply = await client.read_holding_registers(start, count=BLOCK, device_id=1)
            read += len(reply.registers)
        due += PERIOD
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    used = time.process_time() - began
    client.close()
    await asyncio.sleep(0)
    return used / read * 1e6

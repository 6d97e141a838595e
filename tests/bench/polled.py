"""The Modbus driver alone, reading a device for a while: what it costs, as JSON on standard output.

    python polled.py URL PROFILE SECONDS

Runs in the tree that PYTHONPATH names, so that a driver of another time can be measured by the same file: it
uses only what both have.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import sys
import time
from pathlib import Path
from typing import Any

from drivers.modbus import driver as modbus
from drivers.profile.files import load_profile

WARM_S = 1.0


async def poll(url: str, profile: Path, seconds: float) -> dict[str, Any]:
    """For each reading, once it runs evenly: seconds of the processor, and calls in Python and out of it."""
    count = 0

    def take(readings: list[Any]) -> None:
        nonlocal count
        count += len(readings)

    async with modbus.MODBUS.create(url, load_profile(profile), {}) as made:
        task = asyncio.create_task(made.stream(take))
        await asyncio.sleep(WARM_S)
        before, cpu = count, time.process_time()
        await asyncio.sleep(seconds)
        cost = (time.process_time() - cpu) / (count - before)
        profile_of, before = cProfile.Profile(), count
        profile_of.enable()
        await asyncio.sleep(seconds / 2)
        profile_of.disable()
        calls = sum(each.callcount for each in profile_of.getstats()) / (count - before)
        found = {"cpu": cost, "calls": calls, "driver": modbus.__file__}
        task.cancel()
        await asyncio.wait([task])
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(poll(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))))

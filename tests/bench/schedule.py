"""50 devices on one edge, of which one is silent and one flaps: the schedule that the other 48 keep.

The machines note when they are asked. A device's polls are due at its first one and every interval from
there; a due time is kept when the machine is asked within half an interval of it, so that one missed and one
doubled poll do not make up for each other. The edge is the real one, with a real broker and cloud.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.crowd import crowd
from tests.bench.figures import Figure, Size, missing, percentile
from tests.bench.moving import PERIOD, write_profile
from tests.bench.site import lacking, site

DEVICES = 50
TAGS = 20
TARGET = 99.0
WHAT = "schedule kept by 48 devices, one silent, one flapping"


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing(WHAT, "% of polls", lack, TARGET)]
    seconds = size.of(8, 60, 600)
    with tempfile.TemporaryDirectory() as folder:
        profile = write_profile(Path(folder), "modbus", TAGS)
        async with crowd(profile, DEVICES) as machines:
            named = {name: ("bench/modbus", url) for name, url in machines.urls.items()}
            async with site(Path(folder), named) as made:
                await made.start()
                await asyncio.sleep(5)
                await machines.trouble()
                await asyncio.sleep(seconds)
                asked = await machines.report()
    silent, flapping = asked.pop(machines.silent), asked.pop(machines.flapping)
    shares = [kept(times, PERIOD) for times in asked.values()]
    note = f"{DEVICES - 2} devices × {1 / PERIOD:g} polls/s for {seconds} s; worst device {min(shares):.2%}"
    late = [gap for times in asked.values() for gap in lateness(times, PERIOD)]
    return [
        Figure(WHAT, 100 * sum(shares) / len(shares), "% of polls", TARGET, "more", note),
        Figure("the same polls: late by, p99", 1000 * percentile(late, 0.99), "ms"),
        Figure("questions to the silent one", len(silent) / seconds * 60, "/min", note="no answer to any"),
        Figure("questions to the flapping one", len(flapping) / seconds * 60, "/min"),
    ]


def kept(times: Sequence[float], interval: float) -> float:
    """The share of due times, from the first poll to the last, that have a poll within half an interval."""
    if not times:
        return 0.0
    slots = {round((at - times[0]) / interval) for at in times}
    return len(slots) / (max(slots) + 1)


def lateness(times: Sequence[float], interval: float) -> list[float]:
    """How far polls were from their due times, in seconds."""
    return [abs((at - times[0]) - round((at - times[0]) / interval) * interval) for at in times]

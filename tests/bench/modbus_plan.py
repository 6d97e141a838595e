"""Requests that one cycle of Modbus takes, counted at the device, against the fewest that are possible.

*Fewest* is found here by another way than the driver's planner: for each sampling interval and table,
the least number of pieces into which the tags in their order can be cut, so that no piece is longer than
a request may be, or reads over a gap wider than ``max_gap`` or a place that the device refuses. It is
the minimum, because tags that do not overlap lose nothing by being read in their order. Beside it stands
the floor that nothing can go below: all registers, packed without a gap.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from drivers.modbus.driver import MODBUS
from drivers.modbus.profile import ModbusProfile, Table
from drivers.modbus.simulator import ModbusServer
from drivers.profile.profile import AnyProfile
from protocols.values import Reading
from tests.bench.figures import Figure, Size, progress

FAST, SLOW = 0.2, 1.0
SEED = 20
TAGS = 2000
_SIZES = {"uint16": 1, "int32": 2, "float32": 2, "float64": 4}


class Place(NamedTuple):
    """What one tag occupies."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A device: its profile and the places between its tags that it refuses to read."""

    what: str
    profile: ModbusProfile
    refused: frozenset[tuple[Table, int]] = frozenset()

    def groups(self) -> dict[tuple[float, Table], list[Place]]:
        """What is to be read, by sampling interval and table."""
        found: dict[tuple[float, Table], list[Place]] = defaultdict(list)
        for tag in self.profile.tags.values():
            found[tag.sampling, tag.place.table].append(Place(tag.place.offset, tag.registers))
        return found


async def run(size: Size) -> list[Figure]:
    """See the module."""
    count, cycles = size.of(300, TAGS), size.of(2, 4)
    figures = []
    for layout in (
        in_a_row(count),
        scattered(count, "a map as vendors make it"),
        scattered(count, "the same, 60 registers a request", max_registers=60),
        scattered(count, "the same, no gap read", max_gap=0),
        scattered(count, "the same, 20 places refused", refused=20),
    ):
        progress(layout.what)
        figures.append(await _measured(layout, cycles))
    return figures


def in_a_row(count: int) -> Layout:
    """Single registers behind one another, all read as often."""
    tags = {f"t{n}": {"address": f"holding:{n}", "type": "uint16", "sampling": FAST} for n in range(count)}
    return Layout(f"{count:,} registers in a row", _profile(tags))


def scattered(count: int, what: str, refused: int = 0, **modbus: int) -> Layout:
    """Numbers of several widths with small and large gaps, some of them read seldom; and coils."""
    dice = random.Random(SEED)
    tags: dict[str, Any] = {}
    unused: list[tuple[Table, int]] = []
    at = dice.randrange(100)
    for n in range(count * 9 // 10):
        kind = dice.choice(list(_SIZES))
        sampling = FAST if dice.random() < 0.7 else SLOW
        tags[f"t{n}"] = {"address": f"holding:{at}", "type": kind, "sampling": sampling}
        at += _SIZES[kind]
        gap = dice.choices((0, dice.randint(1, 16), dice.randint(17, 300)), (90, 8, 2))[0]
        unused += [(Table.HOLDING, at + n) for n in range(gap)]
        at += gap
    at = 0
    for n in range(count - len(tags)):
        tags[f"c{n}"] = {"address": f"coil:{at}", "type": "bool", "sampling": FAST}
        at += 1 + dice.choices((0, dice.randint(1, 300)), (95, 5))[0]
    no = frozenset(dice.sample(unused, min(refused, len(unused))))
    return Layout(what, _profile(tags, **modbus), no)


def _profile(tags: dict[str, Any], **modbus: int) -> ModbusProfile:
    data = {"vendor": "Bench", "model": "Map", "protocol": "modbus", "modbus": modbus, "tags": tags}
    return ModbusProfile.model_validate(data)


def fewest(places: Sequence[Place], most: int, gap: int, refused: Sequence[int]) -> int:
    """The least number of requests; see the module. ``places`` do not overlap."""
    ordered = sorted(places)
    best = [0] + [len(ordered)] * len(ordered)
    for last in range(1, len(ordered) + 1):
        end = ordered[last - 1].start + ordered[last - 1].size
        for first in range(last - 1, -1, -1):
            start = ordered[first].start
            if end - start > most or any(start <= place < end for place in refused):
                break
            if first + 1 < last and ordered[first + 1].start - start - ordered[first].size > gap:
                break
            best[last] = min(best[last], best[first] + 1)
    return best[-1]


async def _measured(layout: Layout, cycles: int) -> Figure:
    limits, groups = layout.profile.modbus, layout.groups()
    least, floor = 0, 0
    for (_, table), places in groups.items():
        most, gap = (
            (limits.max_bits, 16 * limits.max_gap) if table.bits else (limits.max_registers, limits.max_gap)
        )
        no = [place for of, place in layout.refused if of is table]
        least += fewest(places, most, gap, no)
        floor += math.ceil(sum(place.size for place in places) / most)
    found = await _counted(layout, cycles)
    note = f"counted at the device; packed without gaps: {floor}"
    return Figure(f"requests a cycle: {layout.what}", found, "requests", least, note=note)


async def _counted(layout: Layout, cycles: int) -> float:
    """Requests of one cycle of all sampling intervals, when the device is known."""
    async with _Asked(cast("AnyProfile", layout.profile)) as server:
        server.illegal |= layout.refused
        first: dict[float, str] = {}
        intervals: dict[tuple[Table, int], float] = {}
        for name, tag in layout.profile.tags.items():
            first.setdefault(tag.sampling, name)
            intervals[tag.place.table, tag.place.offset] = tag.sampling
        at: dict[str, list[int]] = {name: [] for name in first.values()}
        seen: set[str] = set()
        enough = asyncio.Event()

        def take(readings: list[Reading]) -> None:
            for reading in readings:
                if reading.value is not None:
                    seen.add(reading.path)
                if reading.path in at and len(seen) == len(layout.profile.tags):
                    at[reading.path].append(len(server.asked))
            if all(len(places) > cycles for places in at.values()):
                enough.set()

        async with MODBUS.create(server.url, cast("AnyProfile", layout.profile), {}) as made:
            task = asyncio.create_task(made.stream(take))
            waiting = asyncio.create_task(enough.wait())
            async with asyncio.timeout(120):
                await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if task.done():
                task.result()
            task.cancel()
            await asyncio.wait([task])
        total = 0.0
        for interval, name in first.items():
            spans = zip(at[name], at[name][1:], strict=False)
            total += statistics.median(
                sum(intervals[request] == interval for request in server.asked[begin:end])
                for begin, end in spans
            )
    return total


class _Asked(ModbusServer):
    """A device that notes where each read begins."""

    def __init__(self, profile: AnyProfile) -> None:
        super().__init__(profile)
        self.asked: list[tuple[Table, int]] = []

    def answer_read(self, unit: int, function: int, start: int, size: int) -> Any:
        self.asked.append((Table.COIL if function == 1 else Table.HOLDING, start))
        return super().answer_read(unit, function, start, size)

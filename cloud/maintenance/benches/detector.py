"""The detector on the C-MAPSS turbofans: every engine learned from its own first cycles, nothing else.

Healthy is a cycle more than 125 before the failure. An alarm that opens in one is early; an engine is caught
when an alarm stands at its end, and its lead is how many cycles before the end that alarm opened. The lead
is never counted beyond 125, so that an alarm that opened early adds nothing.
"""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from cloud.maintenance.benches.data import BenchDataError
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.facts import TagFacts
from cloud.maintenance.health.gathering import TagSpan, Window
from cloud.maintenance.health.limits import Limits

HEALTHY = 125
"""Cycles before failure beyond which an engine counts as healthy."""
LIMITS = Limits(learn=30, false_alarms=1.5, month_hours=1000.0)
"""A cycle stands for an hour, a thousand of them for a month: 1.5 early alarms per 1,000 healthy cycles."""
HOUR = 3600 * 1_000_000
COLUMNS = 26
SETS = ("FD001", "FD002", "FD003", "FD004")
SETTINGS = ("setting1", "setting2", "setting3")
SENSORS = (
    *("T2", "T24", "T30", "T50", "P2", "P15", "P30", "Nf", "Nc", "epr", "Ps30", "phi", "NRf", "NRc", "BPR"),
    *("farB", "htBleed", "Nf_dmd", "PCNfR_dmd", "W31", "W32"),
)
"""Columns 6 to 26, by the names of Saxena et al. 2008, table 2."""

Cycle = tuple[float, ...]
"""Settings, then sensors."""


class Found(msgspec.Struct, frozen=True):
    """What became of one engine. ``lead`` is None for one that was missed; cycles throughout."""

    engine: int
    life: int
    lead: int | None
    early: int
    healthy: int
    """Judged cycles while it was healthy."""
    first_tag: str
    """The tag with the largest share when the alarm opened."""


class Report(msgspec.Struct, frozen=True):
    """Of some engines of one set; ``early_per_1000`` is per 1,000 healthy cycles that were judged."""

    engines: int
    caught: int
    median_lead: float
    tenth_lead: float
    least_lead: int
    early_alarms: int
    healthy_cycles: int
    early_per_1000: float


class Result(msgspec.Struct, frozen=True, rename={"set_": "set"}):
    """What the bench prints as JSON. ``design`` and ``report`` are the two halves of the engines: numbers
    were chosen on the first halves of all sets and never on the second.
    """

    set_: str
    learn: int
    all_engines: Report
    design: Report
    report: Report
    seconds: float


def facts() -> dict[str, TagFacts]:
    """The settings tell the regime, the sensors are signs to both sides."""
    signs = {name: TagFacts(name, "force") for name in SENSORS}
    return {**signs, **{name: TagFacts(name, "speed") for name in SETTINGS}}


def read(path: Path) -> dict[int, list[Cycle]]:
    """Engines of a file, plain or gzip. Raises BenchDataError naming file and line if it is not C-MAPSS."""
    engines: dict[int, list[Cycle]] = {}
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        try:
            row = [float(text) for text in line.split()]
        except ValueError:
            row = []
        if len(row) != COLUMNS:
            raise BenchDataError(
                f"{path}:{number}: not {COLUMNS} numbers (engine, cycle, 3 settings, 21 sensors)"
            )
        engines.setdefault(int(row[0]), []).append(tuple(row[2:]))
    return engines


def located(folder: Path, name: str) -> Path:
    """The training file of a set; raises BenchDataError saying where it can be had."""
    for ending in ("txt", "txt.gz"):
        path = folder / f"train_{name}.{ending}"
        if path.exists():
            return path
    raise BenchDataError(
        f"{folder} has no train_{name}.txt: get C-MAPSS (Turbofan Engine Degradation Simulation) from the "
        "NASA Prognostics Data Repository"
    )


def windows(cycles: Sequence[Cycle]) -> Iterator[Window]:
    """One window a cycle, as if each value had stood for all of it."""
    names = (*SETTINGS, *SENSORS)
    for number, row in enumerate(cycles, 1):
        spans = {name: TagSpan(value, value, value, 1.0, 1) for name, value in zip(names, row, strict=True)}
        yield Window(number * HOUR, "flying", "", spans, broken=number == 1)


def follow(engine: int, cycles: Sequence[Cycle], limits: Limits = LIMITS) -> Found:
    """One engine from its first cycle to its last."""
    known, health, life = facts(), AssetHealth(), len(cycles)
    opened: int | None = None
    early = healthy = 0
    first = ""
    for window in windows(cycles):
        left = life - window.end // HOUR
        alarmed, judged = health.alarmed, health.judged
        health.take(window, known, limits, HOUR)
        if left > HEALTHY and health.judged > judged:
            healthy += 1
        if health.alarmed and not alarmed:
            opened = left
            early += left > HEALTHY
            found = health.evidence(known, 1)
            first = found[0].tag if found else ""
        elif not health.alarmed:
            opened = None
    lead = None if opened is None else min(opened, HEALTHY)
    return Found(engine, life, lead, early, healthy, first)


def report(found: Sequence[Found]) -> Report:
    """Detection and false alarms, side by side."""
    leads = sorted(each.lead if each.lead is not None else 0 for each in found)
    early, healthy = sum(each.early for each in found), sum(each.healthy for each in found)
    return Report(
        len(found),
        sum(each.lead is not None for each in found),
        statistics.median(leads),
        float(leads[len(leads) // 10]),
        leads[0],
        early,
        healthy,
        round(1000 * early / healthy, 2) if healthy else 0.0,
    )


def bench(
    folder: Path,
    name: str,
    limits: Limits = LIMITS,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    elapsed: Callable[[], float] = time.perf_counter,
) -> Result:
    """Follow every engine of the training file of ``name`` (FD001 … FD004) in ``folder``."""
    began = elapsed()
    engines = read(located(folder, name))
    found = []
    for done, (engine, cycles) in enumerate(sorted(engines.items()), 1):
        found.append(follow(engine, cycles, limits))
        progress(done, len(engines))
    design, rest = found[0::2], found[1::2]
    return Result(
        name, limits.learn, report(found), report(design), report(rest), round(elapsed() - began, 2)
    )

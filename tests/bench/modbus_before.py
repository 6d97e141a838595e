"""The Modbus driver of today against an earlier one: the processor time of each, in turns, in one run.

Both read the same device, which runs beside them: 2,000 registers twenty times a second, tag by tag. The
earlier tree is taken from the repository's history; ``ONELOT_BEFORE`` names another commit. Ratios
within a pair are the figures; on a machine that is busy with something else the processor time wanders
even so (most of it is the kernel's, for sending), and the number of calls does not.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.figures import Figure, Size, median, missing, progress
from tests.bench.moving import DEADBAND, moving, write_profile
from tests.system.processes import ROOT

BEFORE = os.environ.get("ONELOT_BEFORE") or "737512c"
"""The last commit before drivers shared a bus, over which all transports came."""
REGISTERS = 2000
RATIO = 1.1
SAMPLING = 0.05
WHAT = f"CPU of the Modbus driver: now / {BEFORE}"


async def run(size: Size) -> list[Figure]:
    """See the module."""
    pairs, seconds = size.of(1, 6), size.of(2, 4)
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "before"
        if lack := _earlier(old):
            return [missing(WHAT, "×", lack, RATIO)]
        profile = write_profile(Path(folder), "modbus", REGISTERS, deadband=DEADBAND, sampling=SAMPLING)
        now: list[Cost] = []
        before: list[Cost] = []
        async with moving(profile) as machine:
            for pair in range(pairs):
                progress(f"pair {pair + 1} of {pairs}")
                turns = [(ROOT, now), (old, before)]
                for tree, costs in turns if pair % 2 else reversed(turns):
                    costs.append(await _cost(tree, machine.url, profile, seconds))
    each = list(zip(now, before, strict=True))
    return [
        _ratio(WHAT, [a.cpu / b.cpu for a, b in each]),
        _ratio(f"calls of the Modbus driver: now / {BEFORE}", [a.calls / b.calls for a, b in each]),
        median("the driver now", [one.cpu for one in now], "µs/register"),
        median(f"the driver at {BEFORE}", [one.cpu for one in before], "µs/register"),
    ]


class Cost(NamedTuple):
    """Of one reading: µs of the processor, and calls."""

    cpu: float
    calls: float


def _ratio(what: str, ratios: list[float]) -> Figure:
    note = f"{len(ratios)} pairs, from {min(ratios):.2f} to {max(ratios):.2f}"
    return Figure(what, statistics.median(ratios), "×", RATIO, note=note, runs=tuple(ratios))


def _earlier(folder: Path) -> str:
    """Lay the earlier tree out; why not, when that cannot be done."""
    try:
        packed = subprocess.run(
            ["git", "archive", "--format=tar", BEFORE, "drivers", "protocols"],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except OSError as error:
        return f"git: {error}"
    if packed.returncode:
        return f"this copy has no history of {BEFORE}: {packed.stderr.decode(errors='replace').strip()}"
    folder.mkdir()
    file = folder / "tree.tar"
    file.write_bytes(packed.stdout)
    with tarfile.open(file) as tree:
        tree.extractall(folder, filter="data")
    return ""


async def _cost(tree: Path, url: str, profile: Path, seconds: float) -> Cost:
    """What the driver of a tree costs."""
    process = await asyncio.create_subprocess_exec(
        # -P: nothing of this folder may stand in for a library's module.
        *(sys.executable, "-P", str(Path(__file__).with_name("polled.py")), url, str(profile), str(seconds)),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60 + 5 * seconds):
        answer, _ = await process.communicate()
    found: dict[str, Any] = json.loads(answer)
    assert Path(found["driver"]).is_relative_to(tree), f"measured {found['driver']}, not {tree}"
    return Cost(1e6 * found["cpu"], found["calls"])

"""``make bench``: every bench in a process of its own, one table, and JSON under ``bench-results/``.

    make bench                            all of them
    make bench ARGS="modbus drain"        some
    make bench ARGS="--quick"             small sizes, to see that they work
    make bench ARGS="drain --full"        10 million samples

Figures depend on the machine and on what else runs there: CPU time and ratios within one run are worth more
than anything timed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.figures import PROGRESS, Figure, Size
from tests.bench.machine import describe

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench-results"
PATIENCE_S = 3600.0
PLAIN_WIDTH = 160
"""Columns of the table where no terminal says how wide it is."""


@dataclass(frozen=True, slots=True)
class Bench:
    """``module`` has ``async def run(size: Size) -> list[Figure]``."""

    name: str
    title: str
    by_name: bool = False
    """Only when asked for."""

    @property
    def module(self) -> str:
        return f"tests.bench.{self.name}"


BENCHES = (
    Bench("outbox", "what a sample costs in the outbox"),
    Bench("ingest", "cloud: ledger and history"),
    Bench("modbus", "10,000 Modbus registers a second on one edge"),
    Bench("modbus_plan", "Modbus requests of a cycle against the fewest possible"),
    Bench("modbus_before", "the Modbus driver of today against an earlier one"),
    Bench("schedule", "50 devices, one silent and one flapping"),
    Bench("opcua", "OPC UA notification to outbox"),
    Bench("opcua_size", "OPC UA servers with a lot on them"),
    Bench("waveforms", "blocks of vibration at the edge"),
    Bench("drain", "a backlog drains"),
    Bench("latency", "source to page"),
    Bench("recovery", "back after an outage"),
    Bench("terminal", "the operator's terminal"),
    Bench("quality", "what a measurement costs on its charts"),
    Bench("dispatch_sim", "dispatching a shop where little goes as planned"),
    Bench("questions", "what people ask of a plan of 2,000 operations"),
    Bench("whatif", "what if, asked of the service"),
    Bench("maintenance_models", "remaining life and wear on public data"),
    Bench("maintenance_chain", "turbofans through the whole chain, against their file"),
    Bench("instances", "public planning instances"),
    Bench("health", "health of 1,000 assets, and its alarms on turbofans"),
    Bench("lives", "remaining life of 1,000 assets by a model"),
    Bench("spindle", "a spindle wears: with maintenance and without"),
    Bench("peer_pyjobshop", "the same instances by PyJobShop", by_name=True),
)


class Result(msgspec.Struct, frozen=True):
    """What one bench gave; ``problem`` is the end of its output when it failed."""

    name: str
    title: str
    seconds: float
    load_1min: float
    figures: list[Figure]
    problem: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a bench failed (not when a target is missed)."""
    names = [bench.name for bench in BENCHES]
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all when left out")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", const=Size.QUICK, dest="size", help="small sizes")
    size.add_argument("--full", action="store_const", const=Size.FULL, dest="size", help="largest sizes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.set_defaults(size=Size.NORMAL)
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - set(names)):
        parser.error(f"there is no bench {', '.join(unknown)}: choose from {', '.join(names)}")
    chosen = [b for b in BENCHES if (b.name in asked.names if asked.names else not b.by_name)]
    if asked.inside is not None:
        figures = asyncio.run(importlib.import_module(chosen[0].module).run(asked.size))
        asked.inside.write_bytes(msgspec.json.encode(figures))
        return 0
    return _run_all(chosen, asked.size, asked.results)


def _run_all(chosen: Sequence[Bench], size: Size, folder: Path) -> int:
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    machine = describe()
    console.print(
        " · ".join(f"{name} {value}" for name, value in machine.items()), style="dim", soft_wrap=True
    )
    results = []
    for bench in chosen:
        console.print(f"{bench.name}: {bench.title} …", style="dim")
        results.append(_in_a_process(bench, size, console))
    console.print(_table(results))
    for result in results:
        if result.problem:
            console.print(f"{result.name} failed:\n{result.problem}", style="red", markup=False)
    folder.mkdir(parents=True, exist_ok=True)
    began = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    report = {
        "at": began,
        "size": size,
        "machine": machine,
        "results": [_plain(result) for result in results],
    }
    path = folder / f"{began}-{'-'.join(bench.name for bench in chosen) if len(chosen) < 3 else 'all'}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    console.print(f"written to {path}", style="dim", soft_wrap=True)
    return 1 if any(result.problem for result in results) else 0


def _in_a_process(bench: Bench, size: Size, console: Console) -> Result:
    began = time.monotonic()
    load = round(psutil.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "tests.bench", bench.name, "--inside", str(answer)]
        if size is not Size.NORMAL:
            command.append(f"--{size}")
        output = _followed(command, console)
        seconds = round(time.monotonic() - began, 1)
        if not answer.exists():
            return Result(bench.name, bench.title, seconds, load, [], output[-3000:] or "it said nothing")
        figures = msgspec.json.decode(answer.read_bytes(), type=list[Figure])
    return Result(bench.name, bench.title, seconds, load, figures)


def _followed(command: Sequence[str], console: Console) -> str:
    """Run it and show its progress as it comes; all else that it said."""
    said = []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        limit = threading.Timer(PATIENCE_S, process.kill)
        limit.start()
        began = time.monotonic()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(PROGRESS):
                    console.print(f"  {line.rstrip()}", style="dim", markup=False, soft_wrap=True)
                else:
                    said.append(line)
        finally:
            limit.cancel()
    if time.monotonic() - began >= PATIENCE_S:
        said.append(f"not finished in {PATIENCE_S:g} s")
    return "".join(said)


def _plain(result: Result) -> dict[str, object]:
    """For JSON, with the verdicts."""
    plain: dict[str, object] = msgspec.to_builtins(result)
    plain["figures"] = [{**msgspec.to_builtins(figure), "met": figure.met} for figure in result.figures]
    return plain


def _table(results: Sequence[Result]) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("what", overflow="fold", max_width=58)
    table.add_column("reached", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("met")
    table.add_column("note", overflow="fold")
    for result in results:
        for figure in result.figures:
            met = {True: "yes", False: "NO", None: ""}[figure.met]
            table.add_row(figure.what, _words(figure.reached), _target(figure), figure.unit, met, figure.note)
        table.add_section()
    return table


def _target(figure: Figure) -> str:
    sign = "≤" if figure.better == "less" else "≥"
    return "" if figure.target is None else f"{sign} {_words(figure.target)}"


def _words(number: float | None) -> str:
    if number is None:
        return "–"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main())

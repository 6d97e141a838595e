"""``onelot driver watch``: a machine's values as they come, on a screen or line by line."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.driver import Driver
from drivers.trace import Tap
from edge.commission.asking import OptionList, fail
from edge.commission.change_lines import ChangeLines, chosen
from edge.commission.file_check import is_edge
from edge.commission.following import follow
from edge.commission.running import stopped
from edge.commission.targets import Target, device_of, machine_at
from edge.commission.traffic_log import TrafficLog
from protocols.clock import Clock
from protocols.values import Reading


def watch(
    where: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="The machine's address, or the edge.yaml it is in.")
    ],
    tags: Annotated[
        list[str] | None, typer.Argument(help="Tags to show, also as force or 'l1/*'; all when left out.")
    ] = None,
    *,
    profile: Annotated[
        str | None, typer.Option(help="With an address: a profile's file, or its name such as virtual/laser.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="With edge.yaml: the id of one of its devices.")] = None,
    option: OptionList = None,
    seconds: Annotated[
        float, typer.Option(min=0, help="Stop after so long; 0 goes on until q or Ctrl-C.")
    ] = 0,
    trace: Annotated[
        bool, typer.Option("--trace", help="Without a screen: every frame or message, too, in hexadecimal.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="No screen: one JSON object a line for each change.")
    ] = False,
) -> None:
    """Watch a machine: value, quality, age, rate and problem of each tag, as they come.

    Without a terminal, one line for each change. A machine that is lost is tried again as an edge does.
    """
    target = _target(where, profile, device, option)
    try:
        names = list(chosen(target.profile, tags or []))
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    try:
        if as_json or not sys.stdout.isatty():
            _lines(target, names, seconds, as_json=as_json, trace=trace)
        else:
            _screen(target, names, seconds)
    except BrokenPipeError:
        # Whoever read the lines has seen enough; nothing more may be written, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise stopped() from None


def _target(where: str, profile: str | None, device: str | None, option: Sequence[str] | None) -> Target:
    if "://" in where:
        if device is not None:
            raise fail("--device names one of edge.yaml — leave it out with an address")
        if profile is None:
            raise fail(f"which tags are there at {where}? — add --profile FILE or NAME")
        return machine_at(where, profile, option)
    path = Path(where)
    if not path.is_file():
        raise fail(f'"{where}" is no address and no file — write e.g. modbus://10.0.4.7:502?unit=1')
    if not is_edge(path):
        raise fail(f"{where} does not say where its machine is — onelot driver watch URL --profile {where}")
    if profile is not None:
        raise fail(f"{where} names the profile of each device — leave --profile out, or give an address")
    return device_of(path, device, option)


def _screen(target: Target, names: Sequence[str], seconds: float) -> None:
    from edge.commission.live_screen import Heading
    from edge.commission.live_table import LiveTable
    from edge.commission.watch_app import WatchApp

    def clock_face() -> str:
        return f"{datetime.now(UTC):%H:%M:%S} UTC"

    clock = time.monotonic
    table = LiveTable(target.profile, names, clock())
    heading = Heading(target.machine, target.address, clock_face)
    log = TrafficLog(Clock().now)
    make = _traced(target, log.add)
    app = WatchApp(heading, table, lambda hears: follow(target.machine, make, hears), clock, seconds, log)
    app.run()


def _traced(target: Target, tap: Tap) -> Callable[[], Driver[Any]]:
    """Makes the target's drivers, which tell what passes."""

    def make() -> Driver[Any]:
        driver = target.make()
        driver.trace = tap
        return driver

    return make


def _lines(target: Target, names: Sequence[str], seconds: float, *, as_json: bool, trace: bool) -> None:
    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    lines = ChangeLines(target.profile, frozenset(names), Clock().now, say, as_json)
    make = _traced(target, lines.frame) if trace else target.make

    async def run() -> None:
        try:
            async with asyncio.timeout(seconds or None):
                await follow(target.machine, make, _Told(lines, target.address))
        except TimeoutError:
            pass  # it was watched for as long as it was to

    asyncio.run(run())


class _Told:
    """Tells what happens at the machine as lines."""

    def __init__(self, lines: ChangeLines, address: str) -> None:
        self._lines, self._address = lines, address

    def reached(self, driver: Driver[Any]) -> None:
        self._lines.problems = driver.problems
        self._lines.event("connected", self._address)

    def differs(self, notice: str) -> None:
        if notice:
            self._lines.event("differs", notice)

    def deliver(self, readings: Sequence[Reading]) -> None:
        self._lines.deliver(readings)

    def lost(self, why: str, wait: float) -> None:
        self._lines.event("lost", f"{self._address}: {why}")

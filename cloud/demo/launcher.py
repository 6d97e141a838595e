"""``onelot demo``: starts every part, lets customers order, shows what happens, reports, stops in order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import msgspec
import typer
from rich.console import Console
from rich.live import Live

from cloud.demo import report
from cloud.demo.account import doubles
from cloud.demo.demand import orders
from cloud.demo.layout import Layout, lay_out
from cloud.demo.office import Office
from cloud.demo.parts import parts
from cloud.demo.probe import Moment, Probe
from cloud.demo.status import terminal_command, view
from cloud.orders.products import Product
from cloud.processes import STOPPING, Part, PartFailedError, StoppedError
from protocols.documents import load
from protocols.site import Site

READY_SECONDS = 90.0
OPEN_ORDERS = 7
"""Orders the customers keep open."""
DELIVERY = timedelta(hours=10)
"""A usual delivery time in factory time."""
SETTLE_SECONDS = 30.0
"""How long what is under way may take to arrive at the end of a headless run."""
WORN = "laser-1"
WORN_HOURS = 1.2
"""Hours of work (divided by speed) in which the worn machine fails."""
LEARNED_SECONDS = 18
"""But it works at least so long by our clock, or nothing would be known of it in health."""

SPINDLE = "mill-1"
SPINDLE_HOURS = 5.0
"""Hours of work that its bearing lasts as a rule …"""
SPINDLE_SECONDS = 130
"""… and seconds by our clock at least: its decline is to be seen, planned for and mended before its end."""


@dataclass(slots=True)
class Demo:
    """A running demo. ``run`` lets it go on and keeps its customers ordering."""

    layout: Layout
    probe: Probe
    parts: list[Part]
    speed: float
    seed: int
    recovery: float | None = None
    _orders: Iterator[dict[str, Any]] | None = field(default=None, init=False)
    _asked: float = field(default=0.0, init=False)
    _summary: dict[str, Any] | None = field(default=None, init=False)
    _office: Office = field(init=False)

    def __post_init__(self) -> None:
        self._office = Office(self.probe)

    @property
    def broker(self) -> Part:
        return self.parts[0]

    def start(self, console: Console) -> None:
        """Start the parts one after the other, each when the one before is ready."""
        with console.status("starting") as status:
            for part in self.parts:
                status.update(f"starting {part.name}")
                part.start()
                part.wait_ready(READY_SECONDS)
        site = load(self.layout.site, Site)
        products = [load(self.layout.site.parent / name, Product) for name in site.products]
        self._orders = orders(
            {product.id: product for product in products},
            self.seed,
            now=datetime.now(UTC),
            span=DELIVERY / self.speed,
        )

    def stop(self, console: Console) -> None:
        """Stop the parts in the reverse order; says which had to be killed."""
        with console.status("stopping"):
            for part in reversed(self.parts):
                if not part.stop():
                    console.print(f"{part.name} did not stop by itself and was killed", style="yellow")

    def check(self, *, broker: bool = True) -> None:
        """Raise PartFailedError when a part has ended by itself."""
        for part in self.parts if broker else self.parts[1:]:
            part.check()

    def summary(self) -> dict[str, Any] | None:
        """Orders, operations, replans, cases: asked for at most once a second; customers order meanwhile,
        and the office looks at the cases."""
        now = time.monotonic()
        if now - self._asked >= 1.0:
            self._asked = now
            with contextlib.suppress(httpx.HTTPError):
                self._summary = self.probe.api("GET", "/summary")
                self._order_more(self._summary)
                self._office.look(now)
        return self._summary

    def _order_more(self, summary: dict[str, Any]) -> None:
        open_orders = summary["orders"]["released"] - summary["orders"]["completed"]
        for _ in range(OPEN_ORDERS - open_orders):
            if self._orders is not None:
                self.probe.api("POST", "/orders", json=next(self._orders))

    def outage(self, seconds: float, pause: float = 0.05) -> None:
        """Kill the broker for ``seconds``; then time it until all edges are acknowledged again."""
        self.broker.kill()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check(broker=False)
            time.sleep(pause)
        self.broker.start()
        self.broker.wait_ready(READY_SECONDS)
        back, back_us = time.monotonic(), time.time_ns() // 1000
        while time.monotonic() - back < SETTLE_SECONDS:
            if all(ack >= back_us for ack in report.last_acks(self.probe.moment()).values()):
                self.recovery = round(time.monotonic() - back, 2)
                return
            time.sleep(pause)

    def settle(self) -> Moment:
        """Stop the machines and the people, wait until all that was collected has arrived, count.

        Raises PartFailedError when a part that is needed for counting ends or does not answer in time.
        """
        for part in self.parts:
            if part.name in ("operators", "virtual factory"):
                part.stop()
        until = time.monotonic() + SETTLE_SECONDS
        before: Moment | None = None
        while True:
            for part in self.parts:
                if part.pid is None and part.name not in ("operators", "virtual factory"):
                    part.check()
            now = self.probe.moment()
            complete = now.cloud is not None and None not in now.edges.values()
            if complete and before is not None:
                still = report.samples(now) == report.samples(before)
                if still and not report.unsettled(now):
                    return now
            if time.monotonic() > until:
                if complete:
                    return now
                raise PartFailedError(
                    f"a part did not answer for {SETTLE_SECONDS:.0f} s: see {self.layout.logs}"
                )
            before = now if complete else None
            time.sleep(0.5)


def command(
    speed: Annotated[
        float, typer.Option(min=1, max=1000, help="Divides the factory's durations and wear.")
    ] = 240,
    headless: Annotated[bool, typer.Option(help="No live view; for machines without a screen.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=5, help="Stop by itself after so many seconds.")
    ] = None,
    outage: Annotated[float, typer.Option(min=0, help="Kill the broker for so long in the middle.")] = 0,
    report_file: Annotated[
        Path | None, typer.Option("--report", help="Write a JSON report at the end.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder below which each run keeps its data.")] = Path(
        "demo-data"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; another if it is taken.")
    ] = 8080,
    seed: Annotated[int, typer.Option(help="Same seed, same factory.")] = 16,
) -> None:
    """Run the whole loop on this machine: broker, virtual factory, cloud, three edges, operators."""
    console = Console()
    if outage and (seconds is None or outage >= seconds):
        console.print(f"--outage {outage:g} needs --seconds longer than that", style="red")
        raise typer.Exit(2)
    folder = data.resolve() / datetime.now(UTC).strftime("run-%Y%m%d-%H%M%S")
    layout = lay_out(folder, speed=speed, http_port=port)
    probe = Probe(layout)
    demo = Demo(
        layout,
        probe,
        parts(layout, probe, speed=speed, seed=seed, worn=_worn(speed)),
        speed,
        seed,
    )
    for stopping in STOPPING:
        signal.signal(stopping, _stop)
    failed = False
    try:
        demo.start(console)
        _tell(console, demo)
        _watch(console, demo, live=not headless, seconds=seconds, outage=outage)
        if report_file is not None:
            failed = _report(console, demo, report_file, seconds or 0.0, outage)
    except StoppedError:
        console.print("stopping, data stays in", str(layout.folder))
    except (PartFailedError, httpx.HTTPError) as error:
        console.print(f"the demo failed: {error}", style="red", markup=False)
        failed = True
    finally:
        for stopping in STOPPING:
            signal.signal(stopping, signal.SIG_IGN)
        demo.stop(console)
        probe.close()
    if failed:
        raise typer.Exit(1)


def _worn(speed: float) -> dict[str, float]:
    """Hours of the factory's time in which the worn machines fail."""
    return {
        WORN: max(WORN_HOURS, LEARNED_SECONDS * speed / 3600),
        SPINDLE: max(SPINDLE_HOURS, SPINDLE_SECONDS * speed / 3600),
    }


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise StoppedError


def _tell(console: Console, demo: Demo) -> None:
    user, password = demo.probe.credential()
    console.print(f"page      {demo.layout.page}  (user {user}, password {password})", highlight=False)
    console.print(f"terminal  {terminal_command(demo.layout)}", highlight=False, soft_wrap=True)
    console.print(f"data      {demo.layout.folder}", highlight=False)


def _watch(console: Console, demo: Demo, *, live: bool, seconds: float | None, outage: float) -> None:
    begin = time.monotonic()
    end = None if seconds is None else begin + seconds
    break_at = None if not outage or seconds is None else begin + (seconds - outage) / 2
    user, password = demo.probe.credential()
    screen: Any = Live(console=console, refresh_per_second=4) if live else contextlib.nullcontext()
    with screen:
        while end is None or time.monotonic() < end:
            demo.check()
            summary = demo.summary()
            if live:
                screen.update(
                    view(demo.layout, demo.parts, demo.probe.moment(), summary, f"{user} / {password}")
                )
            if break_at is not None and time.monotonic() >= break_at:
                break_at = None
                demo.outage(outage)
            time.sleep(0.25)


def _report(console: Console, demo: Demo, file: Path, seconds: float, outage: float) -> bool:
    with console.status("waiting until everything has arrived"):
        summary = demo.probe.api("GET", "/summary")
        memory = report.memory(demo.probe.moment())
        moment = demo.settle()
    made = report.Report(
        seconds=seconds,
        speed=demo.speed,
        broker=demo.broker.name,
        samples=report.samples(moment, doubles(demo.layout.cloud_data / "cloud.db")),
        latency_ms=report.latency(moment),
        recovery_s=report.Recovery(demo.recovery),
        actions=report.actions(moment),
        orders=report.Orders(summary["orders"]["released"], summary["orders"]["completed"]),
        operations=report.Operations(summary["operations"]["completed"]),
        replans=summary["replans"],
        cases=report.Cases(summary["cases"]["opened"], summary["cases"]["devices"]),
        rss_mb=memory,
    )
    file.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    console.print_json(file.read_text("utf-8"))
    problems = made.problems(outage=outage)
    for problem in problems:
        console.print(problem, style="red")
    return bool(problems)

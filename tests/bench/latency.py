"""Source → page: from a value that changes in a machine to the text that changes in a browser.

A part count rises at random moments in a Modbus and an OPC UA machine; real edge, broker and cloud; a
headless Chromium has the supervisor's page open and notes when the tile's text changes. All clocks are this
machine's. The edge's own time of a sample divides the way in two.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.bench.counting import SAMPLING, Counter, counting
from tests.bench.figures import Figure, Size, missing, percentile
from tests.bench.site import lacking
from tests.servers import CHROMIUM_FLAGS, NEEDS, find_program
from tests.system.plant import Plant

TARGET_MS = 300.0
PAUSE_S = (0.4, 0.9)
"""Between two changes, at random: no timer of anybody may keep step with them."""
_WATCH = """() => {
  window.seen = [];
  for (const label of document.querySelectorAll('.tile .count')) {
    const cell = label.closest('.tile').dataset.workcell;
    new MutationObserver(() => {
      const at = performance.timeOrigin + performance.now();
      window.seen.push([cell, label.textContent, at]);
    }).observe(label, {childList: true, characterData: true, subtree: true});
  }
}"""

Seen = dict[tuple[str, int], float]
"""When (ms UTC) a machine's number stood on the page."""


async def run(size: Size) -> list[Figure]:
    """See the module."""
    if lack := lacking("mosquitto"):
        return [missing("edge → page p95", "ms", lack, TARGET_MS)]
    changes = size.of(15, 200)
    async with counting() as (made, counters):
        await asyncio.sleep(2)
        if lack := lacking("chromium"):
            await _change(counters, changes)
            return [*await _to_ledger(made), missing("edge → page p95", "ms", lack, TARGET_MS)]
        seen = await _watched(made, counters, changes)
        figures = []
        for protocol, counter in counters.items():
            figures += await _figures(made, protocol, counter, seen)
        return figures + await _to_ledger(made)


async def _watched(made: Plant, counters: dict[str, Counter], changes: int) -> Seen:
    """Let the machines count while a browser looks."""
    from playwright.async_api import async_playwright

    user, password = made.login()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program(NEEDS["chromium"].program), args=CHROMIUM_FLAGS
        )
        page = await browser.new_page()
        await page.goto(f"{made.page}/login")
        await page.fill("#user", user)
        await page.fill("#password", password)
        await page.click("button")
        for counter in counters.values():
            counter.advance()
            await page.wait_for_selector(f'.tile[data-workcell="{counter.id}"] .count:text("count 1")')
        await page.evaluate(_WATCH)
        await _change(counters, changes)
        await asyncio.sleep(2)
        seen: list[tuple[str, str, float]] = await page.evaluate("window.seen")
        await browser.close()
    return {(cell, int(text.removeprefix("count "))): at for cell, text, at in seen if text}


async def _change(counters: dict[str, Counter], changes: int) -> None:
    rng = random.Random(1)
    for _ in range(changes):
        for counter in counters.values():
            await asyncio.sleep(rng.uniform(*PAUSE_S) / len(counters))
            counter.advance()


async def _figures(made: Plant, protocol: str, counter: Counter, seen: Seen) -> list[Figure]:
    """Of one machine: the whole way, and the part of it behind the edge."""
    edge = await _edge_times(made, counter)
    source: list[float] = []
    behind: list[float] = []
    for number, at in counter.shown.items():
        page = seen.get((counter.id, number))
        if page is not None and number > 1:
            source.append(page - at / 1000)
            if number in edge:
                behind.append(page - edge[number] / 1000)
    expected = len(counter.shown) - 1
    note = f"{protocol}, {SAMPLING:g} s {'polls' if protocol == 'modbus' else 'publishing interval'}"
    missed = f"; {expected - len(source)} of {expected} not seen one by one"
    return [
        _percentiles(
            f"edge → page p95, {protocol}", behind, TARGET_MS, "read or notified → text in the page"
        ),
        _percentiles(f"source → page p95, {protocol}", source, None, note + missed),
    ]


def _percentiles(what: str, found: list[float], target: float | None, note: str) -> Figure:
    if not found:
        return missing(what, "ms", "nothing was seen", target)
    words = f"p50 {percentile(found, 0.5):.0f}, p99 {percentile(found, 0.99):.0f}"
    return Figure(what, percentile(found, 0.95), "ms", target, note=f"{words}; {note}")


async def _edge_times(made: Plant, counter: Counter) -> dict[int, int]:
    """When (µs UTC) the edge took each number, as the history has it."""
    tags: list[dict[str, Any]] = await made.get("/tags", device=counter.id)
    first, last = min(counter.shown.values()), max(counter.shown.values()) + 60_000_000
    await asyncio.sleep(5)  # the history gathers for a few seconds
    found = await made.get(f"/history/{tags[0]['id']}", start=first, end=last, points=100_000)
    first_of: dict[int, int] = {}
    for value, ts in zip(found["values"], found["times"], strict=True):
        first_of.setdefault(value, ts)
    return first_of


async def _to_ledger(made: Plant) -> list[Figure]:
    health = await made.cloud_health()
    if health is None:
        return [missing("edge → ledger p95", "ms", "the cloud did not answer")]
    seen = health["latency_ms"]
    note = f"p50 {seen['p50']:.0f}, p99 {seen['p99']:.0f}; as the cloud itself measures it"
    return [Figure("edge → ledger and live hub p95", seen["p95"], "ms", note=note)]

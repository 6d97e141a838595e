"""What runs beside the stream of a connected machine: its alarms, and what it recorded while it was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from drivers.driver import Alarm, Capability, Driver, DriverError, Notifies, Remembers
from edge.alarms import Standing
from edge.backfill import Backfill, Gap
from edge.outbox.store import OutboxFullError
from edge.tags import TagState
from protocols.clock import Clock
from protocols.states import Event, Notice

log = structlog.get_logger(__name__)

ASK_AGAIN = 30.0
"""Seconds before a machine that does not tell its alarms is asked again."""
GAP_REMAINS = "device.gap"
"""Code of the notice that a gap could not be filled."""

Report = Callable[[list[Event]], None]


@asynccontextmanager
async def beside(*others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run others while the block lasts. An error of the block comes out as itself; the others raise none."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(other) for other in others]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def tell_alarms(driver: Driver[Any], standing: Standing, report: Report, clock: Clock) -> None:
    """Report a machine's alarms until cancelled; a machine that has none to tell ends those it had."""
    if not (Capability.EVENTS in driver.capabilities and isinstance(driver, Notifies)):
        report(standing.end(clock.now()))
        return
    said = False
    while True:
        are_all = True

        def take(alarms: list[Alarm]) -> None:
            nonlocal are_all
            report(standing.seen(alarms, clock.now(), are_all=are_all))
            are_all = False

        try:
            await driver.events(take)
            cause = "the driver stopped telling them"
        except (DriverError, OSError) as error:
            cause = str(error) or type(error).__name__
        except Exception as error:  # a defect of a driver costs its alarms, not its values
            cause = f"{type(error).__name__}: {error}"
            if not said:
                log.exception("device.driver_failed", device=standing.device)
        if not said:
            log.warning("device.no_alarms", device=standing.device, cause=cause, asked_again_in=ASK_AGAIN)
        said = True
        await asyncio.sleep(ASK_AGAIN)


async def fill_gap(
    driver: Driver[Any],
    device: str,
    gap: Gap,
    tags: Mapping[str, TagState],
    backfill: Backfill,
    report: Report,
) -> bool:
    """Read back what the machine recorded in a gap; whether that is done. A gap that remains is told."""
    if not isinstance(driver, Remembers):
        return True
    seconds = (gap.end - gap.start) / 1e6
    try:
        found = await backfill.fill(driver, gap, tags)
    except (DriverError, OSError, OutboxFullError) as error:
        cause = str(error) or type(error).__name__
    except Exception as error:  # a defect of a driver costs its history, not its values
        cause = f"{type(error).__name__}: {error}"
        log.exception("device.driver_failed", device=device)
    else:
        log.info("device.gap_filled", device=device, seconds=round(seconds, 1), samples=found)
        return True
    text = (
        f"What {device} recorded in the last {seconds:.0f} s could not be read back ({cause}): the gap stays "
        "marked. It is tried once more when it is next connected"
    )
    report([Notice(gap.end, "warning", GAP_REMAINS, text)])
    log.warning("device.gap_remains", device=device, cause=cause)
    return False

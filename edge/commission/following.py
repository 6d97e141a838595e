"""A machine followed for as long as somebody looks: connected, streamed, and tried again when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from drivers.driver import Driver, DriverError
from edge.commission.live_check import connected
from edge.recognition import Recognition
from edge.retry import Retry
from protocols.values import Quality, Reading


class Hears(Protocol):
    """Who is told what happens. All of it is called on the event loop and returns at once."""

    def reached(self, driver: Driver[Any]) -> None:
        """A connection stands; whether the machine answers is another thing."""

    def differs(self, notice: str) -> None:
        """What is not as the profile says, in words; empty when nothing."""

    def deliver(self, readings: Sequence[Reading]) -> None:
        """Readings came."""

    def lost(self, why: str, wait: float) -> None:
        """It could not be reached, or was lost; it is tried again in ``wait`` seconds."""


async def follow(
    name: str,
    make: Callable[[], Driver[Any]],
    hears: Hears,
    jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),
) -> None:
    """Stream a machine until cancelled, with the back-off that an edge has (:mod:`edge.retry`).

    ``make`` gives a new driver for each attempt. Nothing is ever written: nobody here asks to.
    """
    clock = asyncio.get_running_loop().time
    retry = Retry(clock())
    recognition: Recognition | None = None
    while True:
        answered: list[float] = []
        driver = make()
        recognition = recognition or Recognition(name, driver.profile)
        recognition.begin(driver)
        retry.demote_after = driver.config.demote_after
        try:
            async with contextlib.AsyncExitStack() as stack:
                await connected(driver, stack)
                hears.reached(driver)
                await recognition.examine(driver)
                hears.differs(recognition.differs)

                def deliver(readings: Sequence[Reading], first: list[float] = answered) -> None:
                    if not first and any(r.quality is not Quality.BAD for r in readings):
                        first.append(clock())
                    hears.deliver(readings)

                await driver.stream(deliver)
            why = "the driver stopped streaming"
        except (DriverError, OSError) as error:
            why = getattr(error, "cause", "") or str(error) or type(error).__name__
        finally:
            recognition.end()
        now = clock()
        wait = retry.failed(now, now - answered[0] if answered else None) * jitter()
        hears.lost(why, wait)
        await asyncio.sleep(wait)

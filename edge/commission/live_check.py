"""A machine, asked: what it is, every tag once, and how often values really come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from drivers.driver import Capability, ConnectError, DeviceLost, Driver, DriverError
from edge import identity
from edge.collector import CONNECT_TIMEOUT
from edge.commission.acceptance import Observation, Watched
from edge.recognition import IDENTIFY_TIMEOUT
from protocols.values import Quality, Reading

Make = Callable[[], Driver[Any]]
Say = Callable[[str], None]


async def observe(make: Make, seconds: float, say: Say) -> Observation:
    """Connect to a machine, ask it what it is, read every tag once, and watch it for a while.

    Args:
        make: a new driver for each connection; an old device may hang up on being asked what it is.
        seconds: how long to watch; 0 does not.
        say: told what is being done.

    Raises:
        DriverError: it cannot be reached, or answers nothing at all.
    """
    async with AsyncExitStack() as stack:
        say("connecting")
        driver, examination = await _examined(make, stack)
        profile = driver.profile
        verdict = identity.Verdict()
        if identity.is_checked(profile):
            verdict = identity.judge(profile, examination)
        names = [name for name, tag in profile.tags.items() if tag.readable]
        say(f"reading {len(names)} tags")
        readings = tuple(await driver.read(names))
        problems = dict(driver.problems)
        watched = None
        if seconds:
            say(f"watching for {seconds:g} s")
            bad = {reading.path for reading in readings if reading.quality is Quality.BAD}
            watched = await watch(driver, seconds, bad)
        subscribes = Capability.SUBSCRIBE in driver.capabilities
        return Observation(examination, verdict, readings, problems, watched, subscribes)


async def examined(driver: Driver[Any], *, ask: bool = True) -> identity.Examination | None:
    """What a connected machine says of itself and its checks read; None when it does not answer in time.

    Raises:
        DriverError: it was lost over the question.
    """
    try:
        async with asyncio.timeout(IDENTIFY_TIMEOUT):
            return await identity.examine(driver, ask=ask)
    except TimeoutError:
        return None


async def connected(driver: Driver[Any], stack: AsyncExitStack) -> None:
    """Connect within the time an edge waits for that.

    Raises:
        ConnectError: it did not come about.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await stack.enter_async_context(driver)
    except TimeoutError:
        cause = f"no connection within {CONNECT_TIMEOUT:g} s"
        raise ConnectError(driver.address, cause, "check address, cable and firewall") from None


async def _examined(make: Make, stack: AsyncExitStack) -> tuple[Driver[Any], identity.Examination | None]:
    """A connected driver and what the machine says; connected anew where the question made it hang up."""
    async with AsyncExitStack() as first:
        driver = make()
        await connected(driver, first)
        try:
            found = await examined(driver)
        except DriverError:
            found = None
        if found is not None:
            stack.push_async_exit(first.pop_all())
            return driver, found
    driver = make()
    await connected(driver, stack)
    return driver, await examined(driver, ask=False)


async def watch(driver: Driver[Any], seconds: float, bad: set[str]) -> Watched:
    """Count what a connected machine delivers; tags that are ``bad`` from the beginning count for nothing."""
    watched = Watched()
    clock = asyncio.get_running_loop().time

    def deliver(readings: Sequence[Reading]) -> None:
        for name, _, quality, reason, _ in readings:
            if quality is not Quality.BAD:
                watched.counts[name] = watched.counts.get(name, 0) + 1
            elif name not in bad:
                cause = driver.problems.get(name) or reason.name.lower()
                watched.went_bad.setdefault(name, cause)

    start = clock()
    try:
        async with asyncio.timeout(seconds):
            await driver.stream(deliver)
    except TimeoutError:
        pass  # it held for as long as it was to
    except DeviceLost as lost:
        watched.lost = lost.cause
    watched.seconds = clock() - start
    return watched

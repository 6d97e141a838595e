"""Whether something may be done to a connected machine: its lock, and whether it is that of its profile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import structlog

from drivers.driver import Driver, DriverError
from drivers.profile.profile import AnyProfile
from edge import identity

log = structlog.get_logger(__name__)

IDENTIFY_TIMEOUT = 5.0


@dataclass(slots=True)
class Recognition:
    """One device over all its connections: :meth:`begin` with each driver, :meth:`examine` once it stands."""

    device: str
    profile: AnyProfile
    locked: Callable[[str], str] = lambda _device: ""
    """Why nothing may be done to the device: its lock; empty when there is none."""
    accepted: Callable[[str], Collection[str]] = lambda _device: ()
    """Versions of firmware outside the profile's range that somebody has accepted for the device."""
    differs: str = field(default="", init=False)
    """What is not as the profile says, in words for people; empty when all is."""
    _driver: Driver[Any] | None = field(default=None, init=False)
    _asks: bool = field(default=True, init=False)
    """Whether the machine is asked what it is: not again once it did not answer."""
    _seen: identity.Examination | None = field(default=None, init=False)
    """What the connected machine said of itself."""
    _verdict: identity.Verdict | None = field(default=None, init=False)
    """What that means for the profile; None until it was asked."""

    def begin(self, driver: Driver[Any]) -> None:
        """A new driver: until the machine is examined, nothing is done to it where it is to be."""
        self._driver, self._verdict = driver, None
        driver.refuses = self._refuses()

    async def examine(self, driver: Driver[Any]) -> None:
        """Ask the connected machine what it is, and refuse writes when it is not what its profile says."""
        self._seen = await self._examined(driver) if identity.is_checked(self.profile) else None
        self._judge()
        driver.refuses = self._refuses()

    def end(self) -> None:
        """The connection is gone."""
        self._driver = None

    def permit(self) -> None:
        """The lock or the accepted firmware changed: what is connected follows at once."""
        if self._driver is not None:
            if self._verdict is not None:
                self._judge()
            self._driver.refuses = self._refuses()

    @property
    def foreign_firmware(self) -> str:
        """The machine's firmware, when it is outside the profile's range and nobody has accepted it."""
        verdict = self._verdict
        return "" if verdict is None or verdict.accepted or self._driver is None else verdict.firmware

    @property
    def warning(self) -> str:
        """What differs, as long as somebody has to do something about it; what is accepted needs nobody."""
        verdict = self._verdict
        return "" if verdict is None or not verdict.refuses else self.differs

    async def _examined(self, driver: Driver[Any]) -> identity.Examination | None:
        """What the machine says of itself and what its checks read; None when it does not answer."""
        for ask in (True, False) if self._asks else (False,):
            try:
                async with asyncio.timeout(IDENTIFY_TIMEOUT):
                    return await identity.examine(driver, ask=ask)
            except (DriverError, OSError, TimeoutError) as error:
                self._asks = False  # an old device may hang up on the question, and would never be read
                cause = str(error) or "no answer"
                log.debug("device.not_identified", device=self.device, cause=cause)
        return None

    def _judge(self) -> None:
        self._verdict = (
            identity.judge(self.profile, self._seen, self.accepted(self.device))
            if identity.is_checked(self.profile)
            else identity.Verdict()
        )
        self.differs = self._verdict.notice(self.device)

    def _refuses(self) -> str:
        """Why nothing may be done to the machine now: its lock first, then that it may be another one."""
        if (lock := self.locked(self.device)) != "":
            return lock
        if self._verdict is None:
            return identity.UNKNOWN if identity.is_checked(self.profile) else ""
        return self._verdict.refuses

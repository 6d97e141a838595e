"""Whether a machine is the one its profile was made for, and whether it may be written to.

Deciding is pure (:func:`judge`); asking is one helper for whoever owns the connection (:func:`examine`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from drivers.driver import Capability, Driver, Identity
from drivers.gate import same_value, shown, trouble
from drivers.profile.profile import AnyProfile
from protocols.values import Quality, Reading

CODE = "device.identity"

UNKNOWN = "it has not said yet which machine it is"
"""What a driver refuses with from connecting until :func:`judge`, where :func:`is_checked`."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What a machine said of itself, and what the checks of its profile read (by check)."""

    found: Identity = field(default_factory=Identity)
    checks: Mapping[str, Reading] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What differs from the profile; empty when nothing does.

    ``differences`` make it another machine: only another profile or address helps. ``firmware`` is a version
    outside the profile's range: values are read, nothing is written until somebody accepts this very one.
    """

    differences: tuple[str, ...] = ()
    firmware: str = ""
    accepted: bool = False
    expected_firmware: str = ""

    @property
    def refuses(self) -> str:
        """What goes into ``Driver.refuses``; empty when writes may pass."""
        if self.differences:
            return f"this is not the machine its profile was made for: {'; '.join(self.differences)}"
        if self.firmware and not self.accepted:
            return (
                f"{self._outside} — accept this firmware at the station, after checking that values are right"
            )
        return ""

    @property
    def _outside(self) -> str:
        return f'firmware "{self.firmware}" found, {self.expected_firmware} expected'

    def notice(self, device: str) -> str:
        """What to tell people, and what to do; empty when nothing differs."""
        said = [*self.differences, *([self._outside] if self.firmware else [])]
        if not said:
            return ""
        found = f"{device} is not what its profile was made for: {'; '.join(said)}"
        if self.differences:
            return (
                f"{found}. Check the device's address and profile in the site file. "
                "Nothing is written until they are right"
            )
        if self.accepted:
            return f"{found} (accepted). A profile for this firmware ends this message"
        return (
            f"{found}. Check that its values are right, then accept this firmware at its station (F10). "
            "Nothing is written until then"
        )


def is_checked(profile: AnyProfile) -> bool:
    """Whether the profile says anything to compare with."""
    return any(
        (
            profile.identification.vendor,
            profile.identification.product,
            profile.identification.checks,
            profile.firmware.min,
            profile.firmware.max,
        )
    )


def firmware_tag(profile: AnyProfile) -> str | None:
    """The tag that holds the firmware version, when the profile names one (by name or address)."""
    wanted = profile.identification.firmware
    if wanted is None:
        return None
    return next((name for name, tag in profile.tags.items() if wanted in (name, tag.address)), None)


async def examine(driver: Driver[Any], *, ask: bool = True) -> Examination:
    """Ask a connected machine what it is and read the checks of its profile.

    Args:
        driver: connected.
        ask: whether to use the protocol's own question too (Modbus FC 43/14 and the like); an old device
            may hang up on it, and is then connected again without.

    Raises:
        DriverError: the machine does not answer. Give it a time limit: a device may be silent.
    """
    profile = driver.profile
    asks = ask and Capability.IDENTIFY in driver.capabilities
    found = await driver.identify() if asks else Identity()
    tag = firmware_tag(profile)
    names = [*profile.checks, *([tag] if tag is not None else [])]
    readings = {r.path: r for r in await driver.read(names)} if names else {}
    if tag is not None and (version := readings[tag]).quality is Quality.GOOD:
        found = replace(found, firmware=str(version.value))
    return Examination(found, {name: readings[name] for name in profile.checks})


def judge(profile: AnyProfile, examination: Examination | None, accepted: Collection[str] = ()) -> Verdict:
    """What an examination says; None when the machine did not answer it.

    What a machine does not say of itself is not compared, but a check of the profile that cannot be read is
    not passed. ``accepted`` are versions outside the range that somebody has accepted for this device.
    """
    seen = examination or Examination()
    version = seen.found.firmware
    foreign = version if version and not profile.firmware.holds(version) else ""
    low, high = profile.firmware.min or "any", profile.firmware.max or "any"
    return Verdict(
        tuple(_differences(profile, seen)),
        foreign,
        foreign in accepted,
        f"{low} to {high}" if foreign else "",
    )


def mismatch(device: str, profile: AnyProfile, found: Identity) -> str:
    """What differs, and what to do; empty when nothing does. What a machine does not say is not compared."""
    passed = {name: Reading(name, check.equals) for name, check in _checks(profile)}
    return judge(profile, Examination(found, passed)).notice(device)


def _checks(profile: AnyProfile) -> Iterator[tuple[str, Any]]:
    yield from zip(profile.checks, profile.identification.checks, strict=True)


def _differences(profile: AnyProfile, seen: Examination) -> Iterator[str]:
    for what, said, pattern in (
        ("vendor", seen.found.vendor, profile.identification.vendor),
        ("product", seen.found.product, profile.identification.product),
    ):
        if said and pattern and not fnmatchcase(said.casefold(), pattern.casefold()):
            yield f'{what} "{said}" found, "{pattern}" expected'
    for name, check in _checks(profile):
        reading = seen.checks.get(name)
        what = check.description or check.address
        if reading is None or reading.quality is not Quality.GOOD:
            yield f"{what} {trouble(reading)}, {shown(check.equals)} expected"
        elif not same_value(reading.value, check.equals):
            yield f"{what} reads {shown(reading.value)}, {shown(check.equals)} expected"

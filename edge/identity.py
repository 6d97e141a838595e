"""Whether a machine is the one its profile was made for. Pure: what it said of itself comes in."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from drivers.driver import Identity
from drivers.profile import AnyProfile

CODE = "device.identity"


def is_checked(profile: AnyProfile) -> bool:
    """Whether the profile says anything to compare with."""
    return any(
        (
            profile.identification.vendor,
            profile.identification.product,
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


def mismatch(device: str, profile: AnyProfile, found: Identity) -> str:
    """What differs, and what to do; empty when nothing does. What a machine does not say is not compared."""
    differences = list(_differences(profile, found))
    if not differences:
        return ""
    return (
        f"{device} is not what its profile was made for: {'; '.join(differences)}. "
        "Check the device's address and profile in the site file, then that its values are right"
    )


def _differences(profile: AnyProfile, found: Identity) -> Iterator[str]:
    for what, said, pattern in (
        ("vendor", found.vendor, profile.identification.vendor),
        ("product", found.product, profile.identification.product),
    ):
        if said and pattern and not fnmatchcase(said.casefold(), pattern.casefold()):
            yield f'{what} "{said}" found, "{pattern}" expected'
    if found.firmware and not profile.firmware.holds(found.firmware):
        low, high = profile.firmware.min or "any", profile.firmware.max or "any"
        yield f'firmware "{found.firmware}" found, {low} to {high} expected'

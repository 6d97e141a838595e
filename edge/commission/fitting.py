"""Which profiles of a library fit a machine, by what it says of itself and what their checks read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drivers.profile.profile import AnyProfile
from edge.identity import Examination, judge
from protocols.values import Quality

MOST_THERE = 0.8
"""Share of a profile's own addresses that must exist for the machine to be of its kind."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine as it looks through one profile."""

    name: str
    profile: AnyProfile
    examination: Examination
    there: int = 0
    """Addresses of the profile that exist at the machine; only where an address is a name of its own."""
    asked: int = 0
    """Of how many."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile that may be right, and why. ``certain``: the machine was recognised, not only its maker."""

    name: str
    why: tuple[str, ...]
    certain: bool
    firmware: str = ""
    """The range it was made for, in words; empty when it says none."""
    outside: str = ""
    """Why writes are refused all the same: a firmware outside that range."""


def fits(seen: Iterable[Seen]) -> list[Fit]:
    """The profiles that fit, the best first: recognised before likely, and more reasons before fewer."""
    found = [fit for each in seen if (fit := fit_of(each)) is not None]
    certain = [fit for fit in found if fit.certain]
    return sorted(certain or found, key=lambda fit: (bool(fit.outside), -len(fit.why), fit.name))


def fit_of(seen: Seen) -> Fit | None:
    """Whether a profile fits; None when something speaks against it, or nothing for it."""
    verdict = judge(seen.profile, seen.examination)
    if verdict.differences or seen.there < MOST_THERE * seen.asked:
        return None
    strong = tuple(_recognised(seen))
    weak = () if strong else tuple(_likely(seen))
    if not strong and not weak:
        return None
    low, high = seen.profile.firmware.min, seen.profile.firmware.max
    firmware = " to ".join(word for word in (low, high) if word) if low and high else _open(low, high)
    return Fit(seen.name, strong or weak, bool(strong), firmware, verdict.refuses)


def _recognised(seen: Seen) -> Iterator[str]:
    profile, found = seen.profile, seen.examination.found
    for what, said, pattern in (
        ("vendor", found.vendor, profile.identification.vendor),
        ("product", found.product, profile.identification.product),
    ):
        if said and pattern:
            yield f"{what} is {pattern}"
    passed = [r for r in seen.examination.checks.values() if r.quality is Quality.GOOD]
    if passed:
        yield f"{len(passed)} of {len(profile.checks)} checks read as expected"
    if (_plain(found.vendor), _plain(found.product)) == (_plain(profile.vendor), _plain(profile.model)):
        yield "it says this vendor and model"
    if seen.asked:
        yield f"{seen.there} of {seen.asked} tags are there"


def _likely(seen: Seen) -> Iterator[str]:
    said, own = _plain(seen.examination.found.vendor), _plain(seen.profile.vendor)
    if said and own != "any" and (said.startswith(own) or own.startswith(said)):
        yield f"by its vendor {seen.profile.vendor} alone"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _open(low: str | None, high: str | None) -> str:
    if low:
        return f"{low} and later"
    return f"up to {high}" if high else ""

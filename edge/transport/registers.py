"""What a vehicle (or a fleet's manager) that takes missions through tags tells and is told. Pure.

The profile says which tags by their roles: ``pick_station`` and ``drop_station`` are written first,
``mission_order`` with the mission's number last; ``mission`` shows which number it has, ``mission_state``
what became of that, in the words of :class:`Word`, and ``remote_enabled`` whether it takes orders at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from drivers.profile.profile import AnyProfile, Role
from protocols.values import Value

MOST = 65_535
"""Highest number of a mission unless the profile's rule allows less; 0 is none."""


class Word(StrEnum):
    """What a vehicle says of the mission that it shows."""

    IDLE = "idle"
    UNDER_WAY = "under-way"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


WRITTEN = (Role.PICK_STATION, Role.DROP_STATION, Role.MISSION_ORDER)
"""In the order they are written: the last one makes the vehicle look at the others."""


@dataclass(frozen=True, slots=True)
class Says:
    """What a vehicle says now; None where that is not known."""

    mission: int | None = None
    word: Word | None = None
    enabled: bool | None = None
    battery: float | None = None


def takes_missions(profile: AnyProfile) -> bool:
    """Whether a profile is one of a vehicle that is told missions through tags."""
    return profile.tag_with(Role.MISSION_ORDER) is not None


def says(profile: AnyProfile, values: Mapping[str, Value]) -> Says:
    """What good values mean."""

    def of(role: Role) -> Value:
        name = profile.tag_with(role)
        return values.get(name) if name is not None else None

    mission, enabled, battery = of(Role.MISSION), of(Role.REMOTE_ENABLED), of(Role.BATTERY)
    return Says(
        mission=int(mission) if isinstance(mission, int | float) else None,
        word=_word(profile, of(Role.MISSION_STATE)),
        enabled=enabled if isinstance(enabled, bool) else None,
        battery=float(battery) if isinstance(battery, int | float) else None,
    )


def _word(profile: AnyProfile, value: Value) -> Word | None:
    name = profile.tag_with(Role.MISSION_STATE)
    if name is None or value is None:
        return None
    words = profile.tags[name].enum or {}
    text = words.get(int(value)) if isinstance(value, int) else value
    return Word(text) if text in list(Word) else None


def next_number(profile: AnyProfile, last: int, shown: int | None) -> int:
    """The number of the next mission: not the last one, and none that the vehicle shows already."""
    name = profile.tag_with(Role.MISSION_ORDER)
    rule = profile.writes.get(name) if name is not None else None
    most = int(rule.max) if rule is not None and rule.max is not None else MOST
    least = max(1, int(rule.min)) if rule is not None and rule.min is not None else 1
    number = last + 1 if least <= last < most else least
    return number if number != shown else (number + 1 if number < most else least)

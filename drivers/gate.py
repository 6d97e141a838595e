"""What must hold before anything is done to a machine: two tables of checks. Pure: no I/O, no clock.

The first table needs no machine, the second one what was read from it at that moment. Every check gives the
reason of a refusal or nothing; the first reason counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers.derive import state_word
from drivers.profile.profile import AnyProfile, Effect, Permission, Role
from drivers.profile.rules import same_kind
from protocols.documents import quoted
from protocols.states import ItemState
from protocols.values import Quality, Reading, Value


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person at a station who wants this one thing to happen now, and a second one where two are needed.

    Both are pseudonyms. Only a station makes one; page, API and planner cannot.
    """

    actor: str
    station: str
    second: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants done, and what is known about it.

    ``since`` is how many seconds ago it was last done; None when it was not. ``refuses`` is why the driver
    does nothing at all at the moment. ``readings`` are those of :func:`needed`, read just now.
    """

    permission: Permission
    profile: AnyProfile
    confirmation: Confirmation | None = None
    since: float | None = None
    refuses: str = ""
    readings: Mapping[str, Reading] = field(default_factory=dict)


Check = Callable[[Wish], str | None]


def needed(profile: AnyProfile, permission: Permission) -> list[str]:
    """The tags that the second table looks at: to be read at that moment, in this order."""
    names: dict[str, None] = {}
    if permission.item_states is not None:
        state = profile.tag_with(Role.STATE)
        derivation = profile.derive.get("state")
        inputs = [name for rule in derivation.rules for name in rule.when] if derivation else []
        names |= dict.fromkeys([state] if state is not None else inputs)
    if permission.precondition is not None:
        names[permission.precondition.tag] = None
    remote = profile.tag_with(Role.REMOTE_ENABLED)
    if permission.effect is not Effect.PARAMETER and remote is not None:
        names[remote] = None
    return list(names)


def refusal(checks: tuple[Check, ...], wish: Wish) -> str | None:
    """The reason of the first check that does not hold; None when all do."""
    return next((reason for check in checks if (reason := check(wish)) is not None), None)


def _refuses(wish: Wish) -> str | None:
    return f"nothing may be written now: {wish.refuses}" if wish.refuses else None


def _interval(wish: Wish) -> str | None:
    least = wish.permission.interval
    if least is None or wish.since is None or wish.since >= least:
        return None
    wait = least - wish.since
    return f"was done {wish.since:.1f} s ago, at least {least:g} s must pass — wait {wait:.1f} s"


def _confirmed(wish: Wish) -> str | None:
    effect, person = wish.permission.effect, wish.confirmation
    if effect is Effect.PARAMETER or (person is not None and person.actor and person.station):
        return None
    return f"is a {effect}: it needs a person at the machine — confirm it at the station"


def _two_people(wish: Wish) -> str | None:
    person = wish.confirmation
    if not wish.permission.two_people:
        return None
    if person is None or not person.actor or not person.second:
        return "needs two people — let a second person confirm it at the station"
    if person.actor.strip().casefold() == person.second.strip().casefold():
        return f"needs two people, {person.actor} confirmed twice — let somebody else confirm it"
    return None


def _item_state(wish: Wish) -> str | None:
    allowed = wish.permission.item_states
    if allowed is None:
        return None
    names = ", ".join(allowed)
    found = item_state(wish.profile, wish.readings)
    if isinstance(found, ItemState):
        return None if found in allowed else f"needs the machine to be {names}, it is {found}"
    return f"needs the machine to be {names}, but {found}"


def item_state(profile: AnyProfile, readings: Mapping[str, Reading]) -> ItemState | str:
    """What the machine does by these readings, without debounce; or why that is not known."""
    state = profile.tag_with(Role.STATE)
    if state is not None:
        reading = readings.get(state)
        if reading is None or reading.quality is not Quality.GOOD:
            return f"{state} {trouble(reading)}"
        meaning = profile.state_of(reading.value)
        return meaning.item_state if meaning else f"its state {reading.value} is not in the profile"
    derivation = profile.derive.get("state")
    if derivation is None:
        return "no tag shows its state"
    values = {name: r.value for name, r in readings.items() if r.quality is Quality.GOOD}
    word = state_word(derivation, values, profile.tags)
    if word is None:
        missing = [n for rule in derivation.rules for n in rule.when if n not in values]
        return f"{missing[0] if missing else 'its state'} {trouble(readings.get(missing[0]))}"
    return profile.states[word.state].item_state


def _precondition(wish: Wish) -> str | None:
    condition = wish.permission.precondition
    if condition is None:
        return None
    found = wish.readings.get(condition.tag)
    if found is None or found.quality is not Quality.GOOD:
        return f"needs {condition.tag} = {shown(condition.equals)}, but it {trouble(found)}"
    if same_value(found.value, condition.equals):
        return None
    return f"needs {condition.tag} = {shown(condition.equals)}, it is {shown(found.value)}"


def _remote_enabled(wish: Wish) -> str | None:
    effect = wish.permission.effect
    if effect is Effect.PARAMETER:
        return None
    name = wish.profile.tag_with(Role.REMOTE_ENABLED)
    if name is None:
        return f"is a {effect}: the profile has no tag with role remote_enabled"
    found = wish.readings.get(name)
    if found is None or found.quality is not Quality.GOOD:
        return f"is a {effect} and needs {name} = true, but it {trouble(found)}"
    if found.value is not True:
        return f"is a {effect} and needs {name} = true, it is {shown(found.value)} — enable remote operation"
    return None


def same_value(one: Value, other: Value) -> bool:
    """Whether a machine's value is the one that a profile names; fractions to six digits, as in a float32."""
    if isinstance(one, int | float) and isinstance(other, float) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-6)
    return same_kind(one, other) and one == other


def trouble(reading: Reading | None) -> str:
    """Why a reading is of no use."""
    if reading is None:
        return "was not read"
    return f"has no good value ({reading.reason.name.lower().replace('_', ' ')})"


def shown(value: object) -> str:
    """A value as a sentence shows it."""
    return str(value) if isinstance(value, str) else quoted(value)


WITHOUT_THE_MACHINE: tuple[Check, ...] = (_refuses, _interval, _confirmed, _two_people)
"""Checked first. A write's own rule, value and range were checked before."""

AT_THE_MACHINE: tuple[Check, ...] = (_item_state, _precondition, _remote_enabled, _refuses)
"""Checked with what was read at that moment, and nothing between them and the sending."""

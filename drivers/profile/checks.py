"""What does not belong together in a profile, found in plain data whose parts may be wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drivers.profile.part import mapping
from drivers.profile.rules import Effect, FirmwareRange, could_be
from drivers.profile.tags import Access, Role
from drivers.profile.waveform import TURNS_IN_HZ, When, feature_names
from protocols.documents import Finding, nearest, not_one_of, quoted
from protocols.values import DataType

_ONCE = (Role.STATE, Role.PART_COUNT, Role.REMOTE_ENABLED)
"""Roles that one tag of a machine has: two would contradict each other."""

DERIVED = ("state",)
"""What can be derived from other tags."""


def check_firmware(whole: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]) -> Iterator[Finding]:
    """A range that holds no version, and a firmware tag that is none."""
    limits = mapping(whole.get("firmware"))
    low, high = limits.get("min"), limits.get("max")
    if isinstance(low, str) and isinstance(high, str) and not FirmwareRange(max=high).holds(low):
        yield Finding(("firmware", "max"), f"{quoted(high)} is below min {low}: no version could be right")
    for name, limit in (("min", low), ("max", high)):
        if isinstance(limit, str) and not any(c.isdigit() for c in limit):
            yield Finding(("firmware", name), f"{quoted(limit)} is no version: it has no number")
    wanted = mapping(whole.get("identification")).get("firmware")
    addresses = {str(tag.get("address")) for tag in tags.values()}
    if isinstance(wanted, str) and wanted not in tags and wanted not in addresses:
        yield Finding(("identification", "firmware"), no_tag(wanted, tags))


def check_states(
    states: Mapping[Any, Any], derive: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """States that could never be looked up."""
    state = next((tag for tag in tags.values() if tag.get("role") == Role.STATE), None)
    if "state" in derive:
        for raw in (raw for raw in states if not isinstance(raw, str)):
            yield Finding(("states", raw), "a derived state is a word: write the word of its rule")
        return
    if states and state is None:
        yield Finding(("states",), "no tag has the role state, so no value can be looked up here")
    if state is None:
        return
    words = {str(word) for word in mapping(state.get("enum")).values()}
    is_text = state.get("type") == DataType.STRING
    for raw in states:
        if isinstance(raw, str) and words and raw not in words:
            yield Finding(("states", raw), not_one_of(raw, sorted(words)))
        elif isinstance(raw, str) and not (words or is_text):
            message = f'"{raw}" is no word of it: give the tag with role state an enum, or write its number'
            yield Finding(("states", raw), message)
        elif is_text and not isinstance(raw, str):
            yield Finding(("states", raw), "the state is a string: put its text in quotes")


def check_derived(
    derive: Mapping[Any, Any], states: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """Derived states that no tag or word stands for."""
    for what, derivation in derive.items():
        where = ("derive", what)
        if what not in DERIVED:
            yield Finding(where, not_one_of(what, DERIVED))
        owner = next((name for name, tag in tags.items() if tag.get("role") == what), None)
        if owner is not None:
            message = f'the tag "{owner}" has the role {what} already — derive only what no tag shows'
            yield Finding(where, message)
        rules = mapping(derivation).get("rules")
        for number, rule in enumerate(rules if isinstance(rules, list | tuple) else ()):
            at = (*where, "rules", number)
            yield from _known_word((*at, "state"), mapping(rule).get("state"), states)
            for name, condition in mapping(mapping(rule).get("when")).items():
                yield from _unfit_condition((*at, "when", name), name, condition, tags)
        yield from _known_word((*where, "otherwise"), mapping(derivation).get("otherwise"), states)


def _known_word(where: tuple[Any, ...], word: Any, states: Mapping[Any, Any]) -> Iterator[Finding]:
    if isinstance(word, str) and word not in states:
        known = [str(state) for state in states]
        hint = nearest(word, known)
        tail = f" — did you mean {hint}?" if hint else f" — add it: {word}: {{item_state: …}}"
        yield Finding(where, f"{quoted(word)} is not explained in states{tail}")


def _unfit_condition(
    where: tuple[Any, ...], name: Any, condition: Any, tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    yield from _unreadable(where, name, tags)
    if name not in tags:
        return
    tag = tags[name]
    kind = tag.get("type")
    words = [str(word) for word in mapping(tag.get("enum")).values()]
    if isinstance(condition, Mapping):
        if kind in (DataType.BOOL, DataType.STRING):
            yield Finding(where, f"only a number can be compared, not a {kind}")
    elif isinstance(condition, str) and words:
        if condition not in words:
            yield Finding(where, not_one_of(condition, words))
    elif not could_be(condition, kind):
        yield Finding(where, f"{quoted(condition)} is never a {kind}: it would never be met")


def unfit_permission(
    where: tuple[Any, ...],
    rule: Mapping[Any, Any],
    whole: Mapping[Any, Any],
    tags: Mapping[str, Mapping[Any, Any]],
) -> Iterator[Finding]:
    """What a write or call depends on and the profile does not have."""
    needed = mapping(rule.get("precondition")).get("tag")
    needed = needed if isinstance(needed, str) else None  # said where it stands
    at = (*where, "precondition", "tag")
    if needed is not None:
        yield from _unreadable(at, needed, tags)
    roles = {str(tag.get("role")): tag for tag in tags.values()}
    effect = rule.get("effect", Effect.PARAMETER)
    if effect != Effect.PARAMETER and effect in tuple(Effect):
        yield from unfit_effect((*where, "effect"), effect, roles)
    if rule.get("item_states") and Role.STATE not in roles and "state" not in mapping(whole.get("derive")):
        yield Finding((*where, "item_states"), "no tag has the role state, and derive gives none either")


def unfit_effect(
    where: tuple[Any, ...], effect: object, roles: Mapping[Any, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """An effect without the machine's leave to look at."""
    shown = roles.get(Role.REMOTE_ENABLED)
    if shown is None:
        message = f"a {effect} needs the machine's leave: give the tag that shows it role: remote_enabled"
        yield Finding(where, message)
    elif shown.get("access") == Access.WRITE:
        yield Finding(where, "the tag with role remote_enabled cannot be read")


def doubles(tags: Mapping[str, Mapping[Any, Any]]) -> Iterator[Finding]:
    """A second tag with a role that a machine has once."""
    owners: dict[Any, str] = {}
    for name, tag in tags.items():
        role = tag.get("role")
        if role in _ONCE and role in owners:
            message = f'the tag "{owners[role]}" has the role {role} already, and a machine has one'
            yield Finding(("tags", name, "role"), message)
        elif role in _ONCE:
            owners[role] = name


_VEHICLE = (Role.MISSION, Role.MISSION_STATE, Role.MISSION_ORDER, Role.PICK_STATION, Role.DROP_STATION)
_WRITTEN = (Role.PICK_STATION, Role.DROP_STATION, Role.MISSION_ORDER)
_WORDS = ("idle", "done", "failed")


def unfit_vehicle(tags: Mapping[str, Mapping[Any, Any]], whole: Mapping[Any, Any]) -> Iterator[Finding]:
    """A vehicle that takes orders through tags and lacks one, may not be written, or has other words."""
    names = {tag.get("role"): name for name, tag in tags.items() if tag.get("role") in _VEHICLE}
    if not any(role in names for role in (*_WRITTEN, Role.MISSION_STATE)):
        return
    for role in _VEHICLE:
        if role not in names:
            yield Finding(("tags",), f"a vehicle that is sent by tags has one with role {role}, too")
    for role in _WRITTEN:
        rule = mapping(mapping(whole.get("writes")).get(names.get(role, "")))
        if role in names and not rule:
            message = f"a {role} is written: allow it under writes"
            yield Finding(("tags", names[role], "role"), message)
        elif rule.get("two_people") or rule.get("effect", Effect.PARAMETER) != Effect.PARAMETER:
            message = "missions are sent by the edge, without a person: effect parameter, not two_people"
            yield Finding(("writes", names[role]), message)
    yield from _unfit_leave(names, tags, whole)
    state = names.get(Role.MISSION_STATE)
    words = set(mapping(tags[state].get("enum")).values()) if state is not None else set(_WORDS)
    if missing := [word for word in _WORDS if word not in words]:
        message = (
            f"the enum of a mission_state lacks {', '.join(missing)} (idle, under-way, done, failed, refused)"
        )
        yield Finding(("tags", str(state), "role"), message)


def _unfit_leave(
    names: Mapping[Any, Any], tags: Mapping[str, Mapping[Any, Any]], whole: Mapping[Any, Any]
) -> Iterator[Finding]:
    """A mission goes only to a vehicle that says, at that moment, that it takes orders."""
    order = names.get(Role.MISSION_ORDER)
    leave = next((name for name, tag in tags.items() if tag.get("role") == Role.REMOTE_ENABLED), None)
    rule = mapping(mapping(whole.get("writes")).get(order)) if order is not None else {}
    if leave is None:
        yield Finding(("tags",), "a vehicle that is sent by tags has one with role remote_enabled, too")
    elif rule and dict(mapping(rule.get("precondition"))) != {"tag": leave, "equals": True}:
        message = f"a mission needs the vehicle's leave: precondition: {{tag: {leave}, equals: true}}"
        yield Finding(("writes", str(order)), message)


def check_waveforms(
    waveforms: Mapping[str, Mapping[Any, Any]],
    tags: Mapping[str, Mapping[Any, Any]],
    *,
    has_state: bool,
) -> Iterator[Finding]:
    """What the waveforms of a profile depend on and it does not have."""
    for name, tag in waveforms.items():
        where = ("waveforms", name)
        if tag.get("waveform") is None:
            yield Finding(where, 'missing key "waveform"')
            continue
        wave = mapping(tag["waveform"])
        at = (*where, "waveform")
        if wave.get("when") == When.RUNNING and not has_state:
            yield Finding((*at, "when"), "no tag has the role state, and derive gives none either")
        yield from _unfit_trigger((*at, "trigger"), wave.get("trigger"), tags)
        if isinstance(wave.get("shaft"), str):
            yield from _unfit_speed((*at, "shaft"), wave["shaft"], tags)
        for number in (f"{name}.{feature}" for feature in feature_names(wave)):
            if number in tags or number in waveforms:
                yield Finding(where, f'makes the tag "{number}", which is there already')


def _unfit_trigger(
    where: tuple[Any, ...], name: Any, tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    if not isinstance(name, str):
        return
    if unreadable := list(_unreadable(where, name, tags)):
        yield from unreadable
    elif tags[name].get("type") != DataType.BOOL:
        yield Finding(where, f'"{name}" is a {tags[name].get("type")}: only a bool rises')


def _unfit_speed(
    where: tuple[Any, ...], name: str, tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    if unreadable := list(_unreadable(where, name, tags)):
        yield from unreadable
        return
    kind, unit = tags[name].get("type"), tags[name].get("unit", "")
    if kind in (DataType.BOOL, DataType.STRING):
        yield Finding(where, f'"{name}" is a {kind}, not a speed')
    elif unit not in TURNS_IN_HZ:
        reason = not_one_of(unit, TURNS_IN_HZ)
        yield Finding(where, f'the unit of "{name}" says nothing of turns: {reason}')


def _unreadable(
    where: tuple[Any, ...], name: str, tags: Mapping[str, Mapping[Any, Any]]
) -> Iterator[Finding]:
    """That a tag which something depends on is not there, or is only written."""
    if name not in tags:
        yield Finding(where, no_tag(name, tags))
    elif tags[name].get("access") == Access.WRITE:
        yield Finding(where, f'tag "{name}" cannot be read')


def no_tag(name: object, tags: Mapping[str, Any]) -> str:
    """That there is no such tag, with the nearest name."""
    hint = nearest(str(name), tags)
    return f'no tag "{name}" in this profile' + (f" — did you mean {hint}?" if hint else "")

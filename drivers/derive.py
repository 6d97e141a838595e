"""The state of a machine that has no state tag, from other tags (stack light, current, door). Pure.

The first rule whose conditions all hold gives the state's word. A condition on a tag without a good value is
neither met nor unmet: unless an earlier condition decides, the state is then unknown, never the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from drivers.profile import Bounds, Derivation, Tag
from drivers.profile_rules import same_kind
from protocols.values import Value


class Word(NamedTuple):
    """A state in the profile's word, with the stop reason that its rule proposes."""

    state: str
    reason: str = ""


def holds(condition: Bounds | bool | int | float | str, value: Value, enum: Mapping[int, str] | None) -> bool:
    """Whether a value meets a condition; a word is looked up in the tag's enum."""
    if isinstance(condition, Bounds):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if condition.between is not None:
            return condition.between[0] <= value <= condition.between[1]
        over = condition.above is None or value > condition.above
        return over and (condition.below is None or value < condition.below)
    if isinstance(condition, str) and enum is not None:
        return isinstance(value, int) and enum.get(int(value)) == condition
    return same_kind(condition, value) and condition == value


def state_word(derivation: Derivation, values: Mapping[str, Value], tags: Mapping[str, Tag]) -> Word | None:
    """The word for these good values; None when a value that would decide is missing.

    A rule with a condition that fails is out, whatever its other tags read. A rule whose known conditions
    hold while another tag has no good value might be the one: then nothing can be said.
    """
    for rule in derivation.rules:
        known = {name: values[name] for name in rule.when if name in values}
        if not all(holds(rule.when[name], value, tags[name].enum) for name, value in known.items()):
            continue
        if len(known) < len(rule.when):
            return None
        return Word(rule.state, rule.reason or "")
    return Word(derivation.otherwise)

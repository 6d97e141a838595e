"""The state of a machine that has no state tag, from other tags (stack light, current, door). Pure.

The first rule whose conditions all hold gives the state's word. A condition on a tag without a good value is
neither met nor unmet: unless an earlier condition decides, the state is then unknown, never the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.profile.profile import Bounds, Derivation, Tag
from drivers.profile.rules import same_kind
from protocols.values import MICROSECONDS, Value


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


class Since(NamedTuple):
    """A word from ``since`` (µs UTC) on; None is unknown, because ``missing`` has no good value."""

    word: Word | None
    since: int
    missing: str = ""


@dataclass(slots=True)
class DerivedState:
    """Follows the inputs of a derivation. What comes out is in the order of time.

    A new word counts once it has lasted ``debounce``, and then since it began. Unknown counts at once, and so
    does the first word after it.
    """

    derivation: Derivation
    tags: Mapping[str, Tag]
    now: Since = field(default=Since(None, 0))
    _values: dict[str, Value] = field(default_factory=dict, init=False)
    _next: Since | None = field(default=None, init=False)
    """A word that has not lasted long enough yet."""

    @property
    def inputs(self) -> frozenset[str]:
        """The tags that it looks at."""
        return frozenset(name for rule in self.derivation.rules for name in rule.when)

    def value(self, tag: str, value: Value, ts: int, *, good: bool) -> list[Since]:
        """An input has a value from ``ts`` (µs UTC) on, or none that is good; what became of the state."""
        changes = self.tick(ts)
        if good:
            self._values[tag] = value
        else:
            self._values.pop(tag, None)
        word = state_word(self.derivation, self._values, self.tags)
        at = max(ts, self.now.since, self._next.since if self._next else 0)
        if word is None:
            missing = next((name for name in sorted(self.inputs) if name not in self._values), tag)
            self._next = None
            if self.now.word is not None:
                changes.append(self._become(Since(None, at, missing)))
        elif self.now.word is None:
            changes.append(self._become(Since(word, at)))
        elif word == self.now.word:
            self._next = None
        elif self._next is None or word != self._next.word:
            self._next = Since(word, at)
            changes += self.tick(ts)
        return changes

    def tick(self, now: int) -> list[Since]:
        """The word that has lasted long enough by ``now`` (µs UTC)."""
        coming = self._next
        if coming is None or now - coming.since < self.derivation.debounce * MICROSECONDS:
            return []
        return [self._become(coming)]

    def _become(self, state: Since) -> Since:
        self.now, self._next = state, None
        return state

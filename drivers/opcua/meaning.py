"""What a server's answers mean: readings of tags, each with its own quality and reason.

The hot path of the driver: every value that a server sends passes :meth:`Meaning.reading`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.profile import OpcuaTag
from drivers.opcua.structures import Structures
from drivers.opcua.values import Mismatch, OutsideRange, converter, microseconds, reason_of
from protocols.values import Quality, Reading, Reason, Value

_make = tuple.__new__
_GOOD, _NONE = Quality.GOOD, Reason.NONE

Convert = Callable[[Any], Value]
Member = tuple[str, Convert]
"""A tag and how it comes out of its node's value."""


class Meaning:
    """Tags and why they are bad.

    Args:
        tags: by name.
        problems: why a tag is bad, by name; kept up to date here.
        structures: knows the types of structured values.
    """

    def __init__(
        self, tags: Mapping[str, OpcuaTag], problems: dict[str, str], structures: Structures
    ) -> None:
        self._tags = tags
        self._problems = problems
        self._members: dict[str, Member] = {
            name: (name, converter(tag, structures.field)) for name, tag in tags.items()
        }
        self.notes: dict[str, str] = {}
        """What is to be said of a tag although its values are good."""

    def members(self, names: Sequence[str]) -> tuple[Member, ...]:
        """Tags of one node, with their converters."""
        return tuple(self._members[name] for name in names)

    def quietly(self) -> Meaning:
        """The same for values that are of the past: what is wrong with those is no problem of now."""
        made = copy.copy(self)
        made._problems, made.notes = {}, {}
        return made

    def note(self, name: str, text: str) -> None:
        """Say something of a tag that goes on although its values are good."""
        self.notes[name] = self._problems[name] = text

    def reading(self, name: str, data: Any, convert: Convert) -> Reading:
        """What a DataValue says of a tag."""
        status = data.StatusCode
        code = 0 if status is None else status.value
        # The server's clock where the source has none.
        time = microseconds(data.SourceTimestamp or data.ServerTimestamp)
        if code >> 30 >= 2:
            return self.bad(name, status, time)
        value = data.Value.Value if data.Value is not None else None
        try:
            converted = convert(value)
        except OutsideRange as error:
            self._problems[name] = str(error)
            return Reading(name, None, Quality.BAD, Reason.OUT_OF_RANGE, time)
        except Mismatch as error:
            self._problems[name] = str(error) or self._mismatch(name, data, value)
            return Reading(name, None, Quality.BAD, Reason.TYPE_MISMATCH, time)
        if converted.__class__ is float and not math.isfinite(converted):
            self._problems[name] = f"the server sends {converted}"
            return Reading(name, None, Quality.BAD, Reason.SENSOR_FAILURE, time)
        if code >> 30 == 1:
            self._problems[name] = f"{status.name}: {status.doc}"
            return Reading(name, converted, Quality.UNCERTAIN, reason_of(code), time)
        if self._problems and name in self._problems:
            if name in self.notes:
                self._problems[name] = self.notes[name]
            else:
                del self._problems[name]
        # tuple.__new__ makes the named tuple without a Python call: every value passes here.
        return _make(Reading, (name, converted, _GOOD, _NONE, time))

    def bad(self, name: str, status: ua.StatusCode, time: int | None = None) -> Reading:
        """A tag without a value, with the server's reason."""
        self._problems[name] = f"{status.name}: {status.doc}"
        return Reading(name, None, Quality.BAD, reason_of(status.value), time)

    def _mismatch(self, name: str, data: Any, value: Any) -> str:
        wanted = self._tags[name].type
        if value is None:
            return f"the server sends nothing, the profile says {wanted}"
        kind = data.Value.VariantType.name
        if isinstance(value, list):
            return (
                f"the server sends an array of {len(value)} {kind}, the profile says {wanted}: "
                "give the tag count or index"
            )
        if kind == "ExtensionObject":
            return f"the server sends a structure, the profile says {wanted}: give the tag a field of it"
        return f"the server sends {kind} {type(value).__name__}, the profile says {wanted}"

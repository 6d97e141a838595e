"""What the messages of a VDA 5050 vehicle say, as readings of its profile's tags. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.profile.profile import Tag
from drivers.vda5050.profile import MissingError, look_up, parse_place, shaped
from protocols.values import Quality, Reading, Reason


class Values:
    """The newest reading of every tag that came. ``problems`` is told why a tag has none that is good.

    Args:
        tags: by name; their addresses are places in messages.
        problems: by name, for people.
    """

    def __init__(self, tags: Mapping[str, Tag], problems: dict[str, str]) -> None:
        self.last: dict[str, Reading] = {}
        self.fresh: set[str] = set()
        """Tags that came since whoever delivers them took them out of here."""
        self._tags = tags
        self._problems = problems
        self._places = {name: parse_place(tag.address) for name, tag in tags.items()}

    def note(self, topic: str, message: Mapping[str, Any], source_time: int | None) -> None:
        """A message came; ``source_time`` in µs UTC."""
        for name, (place, path) in self._places.items():
            if place != topic:
                continue
            try:
                value = shaped(self._tags[name], look_up(message, path))
            except MissingError as error:
                self._problems[name] = str(error)
                self._set(Reading(name, None, Quality.BAD, Reason.ILLEGAL_ADDRESS, source_time))
            except (ValueError, OverflowError) as error:
                self._problems[name] = str(error)
                self._set(Reading(name, None, Quality.BAD, Reason.TYPE_MISMATCH, source_time))
            else:
                self._problems.pop(name, None)
                self._set(Reading(name, value, Quality.GOOD, Reason.NONE, source_time))

    def spoil(self, topic: str, why: str) -> None:
        """A message that is none: what it should have told is not known."""
        for name, (place, _) in self._places.items():
            if place == topic:
                self._problems[name] = f"{topic}: {why}"[:300]
                self._set(Reading(name, None, Quality.BAD, Reason.DEVICE_FAILURE))

    def _set(self, reading: Reading) -> None:
        self.last[reading.path] = reading
        self.fresh.add(reading.path)

"""Arrays and templates of a profile become plain tags, each remembering where it was written. Pure.

A tag with ``count: 3`` becomes ``name/0``, ``name/1``, ``name/2``. A template gives its tags once and the
places where they repeat; the tag ``voltage`` of a template at ``l1`` becomes ``l1/voltage``. A tag with a
``waveform`` goes to ``waveforms``: it is no value that streams. What cannot be expanded because it is wrong
in itself stays as it was written, and is said to be wrong there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from drivers.profile.part import mapping
from drivers.profile.tags import MAX_COUNT, Tag
from protocols.documents import Expansion, Finding, Location

MAX_TAGS = 50_000
"""The most tags of one profile, arrays and templates expanded."""


@dataclass(slots=True)
class _Made:
    """The tags as they come about."""

    kind: type[Tag]
    tags: dict[Any, Any] = field(default_factory=dict)
    waveforms: dict[Any, Any] = field(default_factory=dict)
    origins: dict[Location, Location] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, name: Any, tag: Any, origin: Location) -> None:
        """A tag, or each element of one that is an array."""
        count = mapping(tag).get("count")
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
            self._put(name, tag, origin)
            return
        single = {key: value for key, value in tag.items() if key != "count"}
        for index in range(count):
            try:
                element = self.kind.element(single, index)
            except ValueError as error:
                self.findings.append(Finding((*origin, "count"), f"element {index}: {error}"))
                return
            self._put(f"{name}/{index}", element, origin)

    def _put(self, name: Any, tag: Any, origin: Location) -> None:
        is_block = mapping(tag).get("waveform") is not None or origin[0] == "waveforms"
        kind, among = ("waveforms", self.waveforms) if is_block else ("tags", self.tags)
        there = next(
            (k for k, each in self._both() if name in each and (k != kind or each[name] != tag)), None
        )
        if there is not None:
            other = ".".join(str(part) for part in self.origins.get((there, name), (there, name)))
            self.findings.append(Finding(origin, f'makes the tag "{name}", which {other} makes already'))
        elif name not in among:
            count = len(self.tags) + len(self.waveforms)
            if count == MAX_TAGS:
                self.findings.append(Finding(origin, f"more than {MAX_TAGS} tags, the most of one profile"))
            if count < MAX_TAGS:
                among[name] = tag
                if origin != (kind, name):
                    self.origins[kind, name] = origin

    def _both(self) -> tuple[tuple[str, dict[Any, Any]], ...]:
        return ("tags", self.tags), ("waveforms", self.waveforms)


def expand(data: Any, kind: type[Tag]) -> Expansion:
    """A profile's plain data with ``tags`` complete; ``kind`` knows how addresses count on its protocol.

    Doing it twice changes nothing: a template's tags that are there already are left alone.
    """
    written = mapping(data)
    if not isinstance(written.get("tags", {}), Mapping):
        return Expansion(data)
    made = _Made(kind)
    for name, tag in written.get("tags", {}).items():
        made.add(name, tag, ("tags", name))
    for name, tag in mapping(written.get("waveforms")).items():
        made.add(name, tag, ("waveforms", name))
    for name, template in mapping(written.get("templates")).items():
        for finding in _place(made, name, mapping(template)):
            made.findings.append(finding)
    if not made.tags and not made.waveforms and "tags" not in written:
        return Expansion(data)
    full = {**written, "tags": made.tags}
    if made.waveforms:
        full["waveforms"] = made.waveforms
    return Expansion(full, made.origins, tuple(dict.fromkeys(made.findings)))


def _place(made: _Made, name: Any, template: Mapping[Any, Any]) -> Iterator[Finding]:
    for place, at in mapping(template.get("at")).items():
        if isinstance(at, bool) or not isinstance(at, int | str):
            continue  # said where it stands
        for inner, tag in mapping(template.get("tags")).items():
            origin: Location = ("templates", name, "tags", inner)
            if not isinstance(tag, Mapping):
                made.add(f"{place}/{inner}", tag, origin)
                continue
            try:
                placed = made.kind.placed(tag, at)
            except ValueError as error:
                yield Finding(("templates", name, "at", place), f"{inner}: {error}")
                continue
            siblings = mapping(template["tags"])
            for key in (key for key in made.kind.references if str(tag.get(key)) in siblings):
                placed[key] = f"{place}/{tag[key]}"
            made.add(f"{place}/{inner}", placed, origin)

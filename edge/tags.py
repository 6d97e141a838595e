"""What is remembered of each tag of a device, and whether a value is one its type can hold. Pure."""

from __future__ import annotations

from math import isfinite
from typing import Any

from drivers.profile.features import feature_tags
from drivers.profile.profile import AnyProfile, Tag
from drivers.scaling import FLOATS, whole_range
from protocols.catalogue import TagDefinition
from protocols.site import Device
from protocols.values import MICROSECONDS, DataType, Quality, Reading, Reason, Value

MAX_TEXT = 1024
"""Characters of a text value that are kept."""

_KINDS: dict[DataType, type] = {DataType.BOOL: bool, DataType.STRING: str, **dict.fromkeys(FLOATS, float)}
"""Class of a type's values; of all others it is int."""


class TagState:
    """What is remembered of one tag. ``value``/``reason`` as last sent; a bad tag has no value."""

    __slots__ = (
        "band",
        "due",
        "high",
        "is_bad",
        "kind",
        "latest",
        "low",
        "max_interval",
        "name",
        "number",
        "percent",
        "reason",
        "ts",
        "value",
        "watched",
    )

    def __init__(self, name: str, tag: Tag, number: int, *, watched: bool = False) -> None:
        self.name = name
        self.number = number
        self.band = tag.deadband
        self.percent = tag.deadband_percent / 100
        self.max_interval = int(tag.max_interval * MICROSECONDS)
        self.watched = watched
        self.kind = _KINDS.get(tag.value_type, int)
        self.low, self.high = whole_range(tag.value_type) if self.kind is int else (0, 0)
        self.value: Value = None
        self.latest: Value = None
        """The good value as last read; within the deadband it may differ from the one sent."""
        self.is_bad = False
        self.reason = -1
        """Reason of the last bad or uncertain sample, 0 after a good one, -1 before the first."""
        self.ts = 0
        self.due = 0
        """When a good value is sent again though it has not changed, µs UTC."""

    @property
    def trouble(self) -> str:
        """Why it has no value; empty when it has one."""
        return Reason(self.reason).name.lower() if self.is_bad else ""

    def reading(self) -> Reading:
        """What was read last."""
        if self.is_bad:
            return Reading(self.name, None, Quality.BAD, Reason(self.reason))
        quality = Quality.UNCERTAIN if self.reason > 0 else Quality.GOOD
        return Reading(self.name, self.latest, quality, Reason(self.reason))

    def resume(self, before: TagState | None) -> None:
        """Go on where another state of the same tag was; begin anew without one."""
        if before is None:
            self.value = self.latest = None
            self.is_bad, self.reason, self.ts, self.due = False, -1, 0, 0
        else:
            self.value, self.latest, self.is_bad = before.value, before.latest, before.is_bad
            self.reason, self.ts, self.due = before.reason, before.ts, before.due


def definitions(device: Device, profile: AnyProfile) -> list[TagDefinition]:
    """Catalogue entries of a device's readable tags, not numbered yet. Paths are ``device/tag``."""
    return [
        TagDefinition(
            number=0,
            path=f"{device.id}/{name}",
            type=tag.value_type,
            unit=tag.unit,
            role=str(tag.role) if tag.role is not None else "",
            device=device.id,
            max_interval=tag.max_interval,
        )
        for name, tag in sampled(profile).items()
    ]


def sampled(profile: AnyProfile) -> dict[str, Tag]:
    """The tags of a profile that give samples: what can be read, and the numbers made of its waveforms."""
    return {n: tag for n, tag in profile.tags.items() if tag.readable} | dict(feature_tags(profile))


def fitted(tag: TagState, value: Any) -> tuple[Value, Quality, Reason]:
    """A value as its tag's type holds it, or why it does not: a driver may be somebody else's."""
    kind = tag.kind
    if kind is str and isinstance(value, str):
        if not value.isascii():  # half of a surrogate pair is no text on the wire
            value = value.encode("utf-8", "replace").decode()
        if len(value) > MAX_TEXT:
            return value[:MAX_TEXT], Quality.UNCERTAIN, Reason.OUT_OF_RANGE
        return value, Quality.GOOD, Reason.NONE
    if kind is bool and isinstance(value, bool):
        return value, Quality.GOOD, Reason.NONE
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number:
        try:
            value = float(value)
        except OverflowError:
            return None, Quality.BAD, Reason.OUT_OF_RANGE
        if isfinite(value):
            return value, Quality.GOOD, Reason.NONE
        return None, Quality.BAD, Reason.SENSOR_FAILURE
    if kind is int and number and isinstance(value, int):
        if tag.low <= value <= tag.high:
            return int(value), Quality.GOOD, Reason.NONE
        return None, Quality.BAD, Reason.OUT_OF_RANGE
    return None, Quality.BAD, Reason.TYPE_MISMATCH


def is_within(tag: TagState, value: Any) -> bool:
    """Whether a number is so near to the last one sent that it need not be."""
    before = tag.value
    if before is None or value.__class__ is bool or value.__class__ is str or before.__class__ is str:
        return False
    band = tag.band or abs(before) * tag.percent  # type: ignore[arg-type]
    return bool(abs(value - before) <= band)

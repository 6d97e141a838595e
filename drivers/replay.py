"""Measurements that somebody recorded, as the values of a profile's tags over time. Pure.

A table with one column per measurement (CSV, also gzipped) and, if it has one, a column of times. A column
plays into the tag of its name, or into the one that it is mapped to.
"""

from __future__ import annotations

import bisect
import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from drivers.profile.profile import AnyProfile, Tag
from drivers.scaling import FLOATS, raw_number
from protocols.documents import nearest
from protocols.values import DataType, Value

MAX_BYTES = 256 << 20
"""The largest recording that is read, unpacked."""
MAX_ROWS = 2_000_000

_TIMES = ("time", "timestamp", "datetime", "t", "seconds", "elapsed", "zeit", "时间", "时间戳")
_SHOWN = 5


class CannotReplay(ValueError):
    """A recording that does not fit the profile: what is wrong with it, and where."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows of values by tag, and when each begins, in seconds from the first."""

    times: Sequence[float]
    rows: Sequence[Mapping[str, Value]]
    unused: Sequence[str]
    """Columns that no tag took."""

    @property
    def length(self) -> float:
        """Seconds until the first row would come again: the last one holds as long as the one before it."""
        last = self.times[-1] - self.times[-2] if len(self.times) > 1 else 1.0
        return self.times[-1] + last

    def values(self, seconds: float, *, loop: bool = True) -> Mapping[str, Value] | None:
        """What is shown so long after the start; None after the end of what does not loop."""
        if seconds >= self.length:
            if not loop:
                return None
            seconds %= self.length
        return self.rows[max(0, bisect.bisect_right(self.times, seconds) - 1)]


def unpack(data: bytes) -> bytes:
    """The bytes of a file that may be gzipped.

    Raises:
        CannotReplay: broken, or larger than :data:`MAX_BYTES` unpacked.
    """
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise CannotReplay(f"is gzipped, but broken: {error}") from None
    if len(data) > MAX_BYTES:
        raise CannotReplay(f"larger than {MAX_BYTES >> 20} MiB, the most that is played")
    return data


def read_recording(
    data: bytes, profile: AnyProfile, mapping: Mapping[str, str], interval: float
) -> Recording:
    """A recording for a profile.

    Args:
        data: CSV, as UTF-8.
        profile: whose tags are played.
        mapping: column to tag, for those that are not named alike.
        interval: seconds between rows when there is no column of times.

    Raises:
        CannotReplay: no column is a tag, a mapping names neither, a value does not fit its tag.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CannotReplay("is not UTF-8 text") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    headings = [heading.strip() for heading in next(reader, [])]
    columns = _columns(headings, profile, mapping)
    clock = next((n for n, h in enumerate(headings) if h.casefold() in _TIMES and n not in columns), None)
    times: list[float] = []
    rows: list[dict[str, Value]] = []
    wrong: list[str] = []
    for cells in reader:
        if not any(cells):
            continue
        if len(rows) >= MAX_ROWS:
            raise CannotReplay(f"more than {MAX_ROWS} rows")
        row: dict[str, Value] = {}
        for number, name in columns.items():
            cell = cells[number].strip() if number < len(cells) else ""
            if not cell:
                continue
            try:
                row[name] = _value(profile.tags[name], cell)
            except ValueError as error:
                wrong.append(f"line {reader.line_num}, column {headings[number]}: {error}")
        times.append(interval * len(rows) if clock is None else _time(cells, clock, reader.line_num))
        rows.append(row)
    if wrong:
        more = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise CannotReplay("\n".join(["has values that do not fit:", *wrong[:_SHOWN]]) + more)
    if not rows:
        raise CannotReplay("has no rows")
    if any(late < early for early, late in pairwise(times)):
        raise CannotReplay(f"column {headings[clock or 0]}: times must not go back")
    unused = [h for n, h in enumerate(headings) if h and n not in columns and n != clock]
    return Recording([t - times[0] for t in times], rows, unused)


def _columns(headings: Sequence[str], profile: AnyProfile, mapping: Mapping[str, str]) -> dict[int, str]:
    """The tag that each column plays into, by position."""
    plain = {_plain(name): name for name in profile.tags}
    for column, tag in mapping.items():
        for word, known, kind in ((column, headings, "column"), (tag, list(profile.tags), "tag")):
            if word not in known:
                hint = nearest(word, known)
                there = f"did you mean {hint}?" if hint else f"there are {', '.join(known[:12])}"
                raise CannotReplay(f'--map {column}={tag}: no {kind} "{word}" — {there}')
    found = {
        n: mapping.get(h) or plain[_plain(h)]
        for n, h in enumerate(headings)
        if h in mapping or (_plain(h) in plain and plain[_plain(h)] not in mapping.values())
    }
    if not found:
        columns, tags = ", ".join(headings[:12]), ", ".join(list(profile.tags)[:12])
        raise CannotReplay(
            f"no column is named like a tag (columns {columns}; tags {tags}) — say --map column=tag"
        )
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


_BOOLS = {
    "true": True,
    "1": True,
    "1.0": True,
    "on": True,
    "false": False,
    "0": False,
    "0.0": False,
    "off": False,
}


def _value(tag: Tag, cell: str) -> Value:
    """A cell as a value of a tag, in its unit."""
    if tag.type is DataType.STRING:
        return cell[: tag.length or None]
    if tag.type is DataType.BOOL:
        if cell.casefold() not in _BOOLS:
            raise ValueError(f'"{cell}" is not true or false')
        return _BOOLS[cell.casefold()]
    words = {word: number for number, word in (tag.enum or {}).items()}
    if cell in words:
        return words[cell]
    try:
        number = float(cell)
    except ValueError:
        raise ValueError(f'"{cell}" is not a number') from None
    if tag.type in FLOATS or tag.value_type in FLOATS:
        raw_number(tag.type, number, tag.scale, tag.offset)
        return number
    whole = int(number) if number.is_integer() else number
    raw_number(tag.type, whole)
    return whole


def _time(cells: Sequence[str], clock: int, line: int) -> float:
    cell = cells[clock].strip() if clock < len(cells) else ""
    try:
        return float(cell)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(cell).timestamp()
    except ValueError:
        raise CannotReplay(f'line {line}: "{cell}" is no time — seconds, or 2026-01-31T08:15:00') from None

"""Measurements that somebody recorded, as the values of a profile's tags over time. Pure.

A table with one column per measurement (CSV, also gzipped, or Parquet) and, if it has one, a column of times.
A column plays into the tag of its name, or into the one that it is mapped to. Another column may name the
machine of which a row is: then each has a recording of its own.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from drivers.profile.profile import AnyProfile, Tag
from drivers.recorded_table import CannotReplay, read_table
from drivers.scaling import FLOATS, raw_number
from protocols.documents import nearest
from protocols.values import DataType, Value

MAX_ROWS = 2_000_000

_TIMES = ("time", "timestamp", "datetime", "t", "seconds", "elapsed", "zeit", "时间", "时间戳")
_MISSING = "nan"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """Rows of values by tag, and when each begins, in seconds from the first."""

    times: Sequence[float]
    rows: Sequence[Mapping[str, Value]]
    unused: Sequence[str]
    """Columns that no tag took."""
    tags: Sequence[str] = ()
    """Those that are played."""

    @property
    def length(self) -> float:
        """Seconds until the first row would come again."""
        return self.times[-1] + self.stands(len(self.times) - 1)

    def stands(self, number: int) -> float:
        """Seconds for which a row is shown; the last one as long as the one before it."""
        if len(self.times) < 2:
            return 1.0
        number = min(number, len(self.times) - 2)
        return self.times[number + 1] - self.times[number]

    def values(self, seconds: float, *, loop: bool = True) -> Mapping[str, Value] | None:
        """What is shown so long after the start; None after the end of what does not loop."""
        if seconds >= self.length:
            if not loop:
                return None
            seconds %= self.length
        return self.rows[max(0, bisect.bisect_right(self.times, seconds) - 1)]


def read_recording(
    data: bytes, profile: AnyProfile, mapping: Mapping[str, str], interval: float
) -> Recording:
    """The only recording of a table; see :func:`read_recordings`."""
    (recording,) = read_recordings(data, profile, mapping, interval).values()
    return recording


def read_recordings(
    data: bytes, profile: AnyProfile, mapping: Mapping[str, str], interval: float, each: str = ""
) -> dict[str, Recording]:
    """Recordings for a profile, by the machine of which they are.

    Args:
        data: CSV as UTF-8, or Parquet.
        profile: whose tags are played.
        mapping: column to tag, for those that are not named alike.
        interval: seconds between rows when there is no column of times.
        each: column that names the machine; without one all rows are of one, named "".

    Raises:
        CannotReplay: no column is a tag, a mapping names neither, a value does not fit its tag.
    """
    headings, body = read_table(data)
    columns = _columns(headings, profile, mapping)
    namer = _named(each, headings) if each else None
    columns.pop(namer if namer is not None else -1, None)
    clock = next((n for n, h in enumerate(headings) if h.casefold() in _TIMES and n not in columns), None)
    found: dict[str, tuple[list[float], list[Mapping[str, Value]]]] = {}
    wrong: list[str] = []
    for number, (line, cells) in enumerate(body):
        if number >= MAX_ROWS:
            raise CannotReplay(f"more than {MAX_ROWS} rows")
        row: dict[str, Value] = {}
        for place, name in columns.items():
            cell = _cell(cells, place)
            if not cell or cell.casefold() == _MISSING:
                continue
            try:
                row[name] = _value(profile.tags[name], cell)
            except ValueError as error:
                wrong.append(f"line {line}, column {headings[place]}: {error}")
        times, rows = found.setdefault("" if namer is None else _cell(cells, namer), ([], []))
        times.append(interval * len(rows) if clock is None else _time(cells, clock, line))
        rows.append(row)
    if wrong:
        more = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise CannotReplay("\n".join(["has values that do not fit:", *wrong[:_SHOWN]]) + more)
    if not found:
        raise CannotReplay("has no rows")
    if any(late < early for times, _ in found.values() for early, late in pairwise(times)):
        raise CannotReplay(f"column {headings[clock or 0]}: times must not go back")
    unused = [h for n, h in enumerate(headings) if h and n not in (*columns, clock, namer)]
    tags = tuple(columns.values())
    return {
        name: Recording([t - times[0] for t in times], rows, unused, tags)
        for name, (times, rows) in found.items()
    }


def _named(each: str, headings: Sequence[str]) -> int:
    if each not in headings:
        hint = nearest(each, headings)
        there = f"did you mean {hint}?" if hint else f"there are {', '.join(headings[:12])}"
        raise CannotReplay(f'--each {each}: no column "{each}" — {there}')
    return headings.index(each)


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


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
    cell = _cell(cells, clock)
    try:
        return float(cell)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(cell).timestamp()
    except ValueError:
        raise CannotReplay(f'line {line}: "{cell}" is no time — seconds, or 2026-01-31T08:15:00') from None

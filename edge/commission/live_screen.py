"""The live table as lines of text, and what keys do to it. Pure: no terminal, the caller brings the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from edge.commission.live_table import Level, LiveTable, Marked, Shown, counts, picked, spoken_age
from edge.commission.typed_filter import TypedFilter
from edge.terminal.painting import Ink, Line, Span, fit, fitted, rule, sides

_INKS = {Level.NOTHING: Ink.DIM, Level.WELL: Ink.PLAIN, Level.ODD: Ink.ABNORMAL, Level.BAD: Ink.ABNORMAL}
_WIDEST = (("tag", 34), ("value", 26), ("quality", 11), ("age", 7), ("rate", 12))
"""Columns and the most cells each takes; what is left is for the problem."""
_PROBLEM = 30
"""Cells that a problem wants; on a narrow screen rate and age give way for it."""
_TOP, _BOTTOM = 4, 2


@dataclass(slots=True)
class View(TypedFilter):
    """What a person has chosen to see."""

    errors_only: bool = False
    top: int = 0
    """First row that is shown."""
    frozen: tuple[list[Shown], float] | None = None
    """Rows and the time at which the table was paused."""
    page: int = 10
    """Rows that fit, as last painted."""
    widths: tuple[int, list[int]] = (0, [])
    """Cells of the columns on a screen of a width: they only grow, so that the table stands still."""

    def rows(self, table: LiveTable, now: float) -> Sequence[Marked | Shown]:
        """All rows: as they are, or were when paused."""
        return self.frozen[0] if self.frozen is not None else table.marked(now)

    def press(self, key: str, character: str | None, table: LiveTable, now: float) -> bool:
        """Take a key; False when it ends the watching."""
        if self.typing:
            self.type(key, character)
            return True
        if key in ("q", "escape", "ctrl+c"):
            if key == "escape" and self.pattern:
                self.pattern, self.top = "", 0
                return True
            return False
        if (move := _MOVES.get(key)) is not None:
            self.top = max(0, move(self.top, self.page))
        elif key in ("slash", "/"):
            self.typing, self.top = True, 0
        elif key == "e":
            self.errors_only, self.top = not self.errors_only, 0
        elif key == "p":
            self.frozen = (table.shown(now), now) if self.frozen is None else None
        return True


_MOVES: dict[str, Callable[[int, int], int]] = {
    "up": lambda top, _page: top - 1,
    "down": lambda top, _page: top + 1,
    "pageup": lambda top, page: top - page,
    "pagedown": lambda top, page: top + page,
    "home": lambda _top, _page: 0,
    "end": lambda _top, _page: 1 << 30,
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the table whatever happens."""

    machine: str
    address: str
    clock: Callable[[], str] = field(default=lambda: "")
    """The time of day, as text."""


def paint(heading: Heading, table: LiveTable, view: View, now: float, width: int, height: int) -> list[Line]:
    """The whole screen, ``height`` lines of ``width`` cells."""
    every = view.rows(table, now)
    rows = picked(every, view.pattern, errors_only=view.errors_only)
    alert = _alert(table)
    top = _TOP + (alert is not None)
    view.page = max(1, height - top - _BOTTOM - 1)
    view.top = min(view.top, max(0, len(rows) - view.page))
    part = [
        row if isinstance(row, Shown) else table.row(row.tag, now)
        for row in rows[view.top : view.top + view.page]
    ]
    before = view.widths[1] if view.widths[0] == width else []
    needed = _needed(part, before)
    view.widths = (width, needed)
    widths = _room(needed, width, problems=any(row.problem for row in part))
    lines = [
        *above(heading, table, now, width),
        fitted([Span(" "), *_figures(every, rows, view, now)], width),
        *([fitted([Span(" "), alert], width)] if alert is not None else []),
        rule(width),
        _row([*(name for name, _ in _WIDEST), "problem"], widths, width, Ink.DIM),
    ]
    lines += [_shown(row, widths, width) for row in part]
    if not rows:
        lines.append(fitted([Span(f"  {_nothing(view, every)}", Ink.DIM)], width))
    lines += [fitted([], width)] * (height - _BOTTOM - len(lines))
    lines = lines[: max(0, height - _BOTTOM)]
    return [*lines, rule(width), _keys(view, len(rows), width)][:height]


def above(heading: Heading, table: LiveTable, now: float, width: int) -> list[Line]:
    """Two lines that stand above the table and the log: which machine, and whether it answers."""
    return [
        sides(
            [Span(f" {heading.machine}", Ink.STRONG), Span(f"  {heading.address}", Ink.PLAIN)],
            [Span(f"{heading.clock()} ", Ink.DIM)],
            width,
        ),
        fitted([Span(" "), *_connection(table, now)], width),
    ]


def _connection(table: LiveTable, now: float) -> list[Span]:
    connection = table.connection
    since = spoken_age(now - connection.since)
    losses = (
        f" · lost {table.losses} {'time' if table.losses == 1 else 'times'} before" if table.losses else ""
    )
    if connection.connected and connection.answers:
        return [Span(f"● connected for {since}", Ink.OK), Span(losses, Ink.PLAIN)]
    if connection.connected:
        why = f": {connection.why}" if connection.why else ""
        return [Span(f"◐ accepts connections, but no value has come for {since}{why}", Ink.ABNORMAL)]
    if connection.next_try == 0.0:
        return [Span(f"○ connecting for {since}", Ink.PLAIN)]
    again = f"tried again in {max(0.0, connection.next_try - now):.0f} s"
    gone = "lost" if table.losses else "not reached"
    return [Span(f"✕ {gone} for {since}, {again}: {connection.why}", Ink.ABNORMAL)]


def _alert(table: LiveTable) -> Span | None:
    return Span(f"▲ {table.differs}", Ink.ABNORMAL) if table.differs else None


def _figures(
    every: Sequence[Marked | Shown], rows: Sequence[Marked | Shown], view: View, now: float
) -> list[Span]:
    number = counts(every)
    spans = [Span(f"{len(every)} tags", Ink.PLAIN)]
    spans += [
        Span(f" · {number[level]} {word}", Ink.ABNORMAL)
        for level, word in ((Level.BAD, "✕ bad"), (Level.ODD, "▼ odd"))
        if number[level]
    ]
    if number[Level.NOTHING]:
        spans.append(Span(f" · {number[Level.NOTHING]} ○ not yet", Ink.DIM))
    if len(rows) < len(every):
        spans.append(Span(f" · {len(rows)} shown", Ink.PLAIN))
    if view.frozen is not None:
        spans.append(Span(f"  ‖ paused {spoken_age(now - view.frozen[1])} ago ", Ink.INVERSE))
    return spans


def _needed(rows: Sequence[Shown], before: Sequence[int]) -> list[int]:
    """Cells that each column but the last needs, within its most, and no fewer than before."""
    cells = [[name, *(_cells(row)[n] for row in rows)] for n, (name, _) in enumerate(_WIDEST)]
    needed = [max(cell_len(text) for text in column) for column in cells]
    at_least = before or [0] * len(needed)
    return [
        max(least, min(most, cell)) for least, cell, (_, most) in zip(at_least, needed, _WIDEST, strict=True)
    ]


def _room(needed: Sequence[int], width: int, *, problems: bool) -> list[int]:
    """Cells that each column gets: on a narrow screen rate and age give way for problems."""
    room = list(needed)
    for column in (4, 3):
        if sum(room) + 2 * len(room) + 1 + (_PROBLEM if problems else 0) > width:
            room[column] = 0
    return room


def _cells(row: Shown) -> list[str]:
    value = f"{row.value}  {row.word}" if row.word else row.value
    return [row.tag, value, row.quality, row.age, row.rate, row.problem]


def _shown(row: Shown, widths: Sequence[int], width: int) -> Line:
    return _row(_cells(row), widths, width, _INKS[row.level])


def _row(cells: Sequence[str], widths: Sequence[int], width: int, ink: Ink) -> Line:
    text = " "
    for cell, room in zip(cells, widths, strict=False):
        text += f"{fit(cell, room)}  " if room else ""
    return fitted([Span(text + cells[-1], ink)], width)


def _nothing(view: View, every: Sequence[Marked | Shown]) -> str:
    if view.errors_only and not view.pattern:
        return f"● nothing is wrong with the {len(every)} tags — e shows all of them"
    return f'no tag fits "{view.pattern}"' + (" and has an error" if view.errors_only else "")


def _keys(view: View, rows: int, width: int) -> Line:
    if view.typing:
        spans = [Span(" filter: ", Ink.STRONG), Span(f"{view.pattern}▏", Ink.FIELD)]
        return fitted([*spans, Span("  Enter keeps it, Esc drops it", Ink.DIM)], width)
    states = (
        ("e", "all tags" if view.errors_only else "errors only"),
        ("p", "go on" if view.frozen is not None else "pause"),
        ("/", f"filter: {view.pattern}" if view.pattern else "filter"),
        ("t", "frames"),
        ("q", "quit"),
    )
    left: Line = [Span(" ")]
    for key, word in states:
        left += [Span(f" {key} ", Ink.KEY), Span(f" {word}   ", Ink.PLAIN)]
    place = f"{view.top + 1}–{min(rows, view.top + view.page)} of {rows} " if rows > view.page else ""
    return sides(left, [Span(f"↑↓ {place}" if place else "", Ink.DIM)], width)

"""The log of frames as lines of text, and what keys do to it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.commission.traffic_log import KEPT, Entry, TrafficLog, picked
from edge.commission.typed_filter import TypedFilter
from edge.terminal.painting import Ink, Line, Span, fit, fitted, rule, sides

_DETAIL = 5
"""Lines for the bytes of the frame under the cursor, and a rule above them."""
_TIME, _UNIT, _TOOK, _SIZE = 12, 4, 8, 6
_PER_LINE = (32, 16, 8)
"""Bytes on a line, the most that fit."""


@dataclass(slots=True)
class LogView(TypedFilter):
    """What a person has chosen to see of the log."""

    errors_only: bool = False
    held: tuple[Entry, ...] | None = None
    """The frames at the moment somebody wanted to look; the log goes on meanwhile."""
    since: int = 0
    """Frames that there had been by then."""
    cursor: int = 0
    """From the newest of those shown, counted backwards."""
    below: int = 0
    """Frames below the screen."""
    page: int = 10

    def press(self, key: str, character: str | None, log: TrafficLog) -> bool:
        """Take a key; False when it was none for the log."""
        if self.typing:
            self.type(key, character)
            return True
        if (step := self._steps().get(key)) is not None:
            if self.held is None:
                self._hold(log)
            self.cursor = max(0, self.cursor + step)
        elif key == "end" or (key == "p" and self.held is not None):
            self.held, self.cursor = None, 0
        elif key == "p":
            self._hold(log)
        elif key == "e":
            self.errors_only, self.cursor = not self.errors_only, 0
        elif key in ("slash", "/"):
            self.typing, self.cursor = True, 0
        elif key == "escape" and self.pattern:
            self.pattern, self.cursor = "", 0
        else:
            return False
        return True

    def _hold(self, log: TrafficLog) -> None:
        self.held, self.since = tuple(log.entries), log.total

    def _steps(self) -> dict[str, int]:
        return {"up": 1, "down": -1, "pageup": self.page, "pagedown": -self.page, "home": KEPT}

    def shown(self, log: TrafficLog) -> list[Entry]:
        """The frames that the filter leaves."""
        entries = log.entries if self.held is None else self.held
        return picked(entries, self.pattern, errors_only=self.errors_only)


def paint(top: Sequence[Line], log: TrafficLog, view: LogView, width: int, height: int) -> list[Line]:
    """The whole screen, below lines that stand above every screen of the machine."""
    entries = view.shown(log)
    view.page = room = max(1, height - len(top) - _DETAIL - 5)
    view.cursor = min(view.cursor, max(0, len(entries) - 1))
    view.below = max(0, min(view.below, view.cursor), view.cursor - room + 1)
    last = len(entries) - view.below
    here = len(entries) - 1 - view.cursor
    part = range(max(0, last - room), last)
    lines = [
        *top,
        fitted([Span(" "), *_figures(log, view, len(entries))], width),
        rule(width),
        _head(width),
        *[_row(entries[n], width, here=n == here) for n in part],
    ]
    if not entries:
        lines.append(fitted([Span(f"  {_nothing(log, view)}", Ink.DIM)], width))
    lines = lines[: max(0, height - _DETAIL - 2)]
    lines += [fitted([], width)] * (height - _DETAIL - 2 - len(lines))
    detail = _bytes(entries[here], width) if entries else []
    detail += [fitted([], width)] * (_DETAIL - 1 - len(detail))
    return [*lines, rule(width), *detail, rule(width), _keys(view, width)][:height]


def _figures(log: TrafficLog, view: LogView, shown: int) -> list[Span]:
    spans = [Span(f"{log.total:,} frames")]
    if log.failed:
        spans.append(Span(f" · {log.failed:,} ✕ failed", Ink.ABNORMAL))
    if log.total > KEPT:
        spans.append(Span(f" · the last {KEPT:,} are kept", Ink.DIM))
    if view.pattern or view.errors_only:
        spans.append(Span(f" · {shown:,} shown"))
    if view.held is not None:
        newer = log.total - view.since
        more = f": {newer:,} newer" if newer else ""
        spans.append(Span(f"  ‖ held{more} ", Ink.INVERSE))
    return spans


def _head(width: int) -> Line:
    what = max(1, width - _fixed() - 1)
    text = (
        f" {'time UTC':<{_TIME}}    {'unit':<{_UNIT}} {'what':<{what}} {'took':>{_TOOK}} {'bytes':>{_SIZE}}"
    )
    return fitted([Span(text, Ink.DIM)], width)


def _fixed() -> int:
    return 1 + _TIME + 4 + _UNIT + 1 + 1 + _TOOK + 1 + _SIZE


def _row(entry: Entry, width: int, *, here: bool) -> Line:
    traffic = entry.traffic
    ink = Ink.INVERSE if here else Ink.ABNORMAL if traffic.failed else Ink.PLAIN
    sign = "✕" if traffic.failed else "→" if traffic.sent else "←"
    what = fit(traffic.what, max(1, width - _fixed() - 1))
    size = str(entry.size) if entry.size else ""
    text = f" {entry.clock} {sign}  {fit(traffic.part, _UNIT)} {what} {entry.took:>{_TOOK}} {size:>{_SIZE}}"
    return fitted([Span(text, ink)], width)


def _bytes(entry: Entry, width: int) -> list[Line]:
    """Position, hexadecimal and text of a frame's first bytes."""
    data = entry.traffic.data
    if not data:
        none = "its bytes are not shown: they hold a login" if entry.traffic.what.endswith(_LOGINS) else ""
        return [fitted([Span(f" {none or 'no bytes'}", Ink.DIM)], width)]
    many = next((n for n in _PER_LINE if 8 + 4 * n <= width), _PER_LINE[-1])
    lines: list[Line] = []
    for at in range(0, len(data), many):
        piece = data[at : at + many]
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in piece)
        lines.append(
            [Span(f" {at:>4}  ", Ink.DIM), Span(f"{piece.hex(' ').upper():<{3 * many}}"), Span(text, Ink.DIM)]
        )
    most = _DETAIL - 1
    if len(lines) > most:
        left = entry.size - (most - 1) * many
        lines = [*lines[: most - 1], [Span(f"       … {left} bytes more", Ink.DIM)]]
    return [fitted(line, width) for line in lines]


_LOGINS = ("SessionRequest", "SessionResponse", "ChannelRequest", "ChannelResponse")


def _nothing(log: TrafficLog, view: LogView) -> str:
    if not log.total:
        return "nothing has passed yet"
    if view.errors_only and not view.pattern:
        return "● nothing has failed — e shows all frames"
    return f'no frame has "{view.pattern}" in direction, unit, words or bytes'


def _keys(view: LogView, width: int) -> Line:
    if view.typing:
        spans = [Span(" filter: ", Ink.STRONG), Span(f"{view.pattern}▏", Ink.FIELD)]
        return fitted([*spans, Span("  Enter keeps it, Esc drops it", Ink.DIM)], width)
    states = (
        ("t", "table"),
        ("e", "all" if view.errors_only else "errors only"),
        ("p", "go on" if view.held is not None else "hold"),
        ("/", f"filter: {view.pattern}" if view.pattern else "filter"),
        ("q", "quit"),
    )
    left: Line = [Span(" ")]
    for key, word in states:
        left += [Span(f" {key} ", Ink.KEY), Span(f" {word}   ", Ink.PLAIN)]
    return sides(left, [Span("↑↓ bytes ", Ink.DIM)], width)

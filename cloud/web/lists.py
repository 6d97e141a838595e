"""The page's lists as HTML tables. Pure; every text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from zoneinfo import ZoneInfo

from cloud.dispatching.outlook import UnassignedRun
from cloud.web.board import OrderLine, StopLine
from cloud.web.sheet import Sheet
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago, clock_words, lateness
from protocols.site import Site
from protocols.values import MICROSECONDS


def order_list(orders: Sequence[OrderLine], now: int, zone: ZoneInfo, say: Speech = ENGLISH) -> str:
    """Orders with promised and expected finish; what is late says so in words."""
    rows = []
    for order in orders:
        late = (
            say("▲ late {time}", time=lateness(order.late))
            if order.late
            else say("on time")
            if order.expected
            else say("not planned")
        )
        rows.append(
            _row(
                [
                    order.id,
                    order.what,
                    f"{order.done}/{order.total}",
                    clock_words(order.promised, now, zone),
                    clock_words(order.expected, now, zone),
                    late,
                ],
                "late" if order.late else "",
                f"order:{order.id}",
            )
        )
    return _table(("Order", "What", "Done", "Promised", "Expected", ""), rows, "no open orders", say)


def stop_list(stops: Sequence[StopLine], site: Site, now: int, zone: ZoneInfo, say: Speech = ENGLISH) -> str:
    """Machine stops, newest first, with their reason or the lack of one."""
    rows, cells = [], site.workcells()
    for stop in stops:
        length = ((stop.closed or now) - stop.opened) / MICROSECONDS
        reason = say.code(site.stop_reasons, stop.reason) if stop.reason else say("? no reason yet")
        if stop.hint and not stop.reason:
            reason += f" ({say('machine says {reason}', reason=say.code(site.stop_reasons, stop.hint))})"
        rows.append(
            _row(
                [
                    say.title(cells[stop.workcell]) if stop.workcell in cells else stop.workcell,
                    clock_words(stop.opened, now, zone),
                    ago(length) + ("" if stop.closed else say(" and going on")),
                    reason,
                ],
                opens=f"workcell:{stop.workcell}",
            )
        )
    return _table(("Workcell", "Since", "How long", "Reason"), rows, "no stops", say)


def unassigned_list(
    runs: Sequence[UnassignedRun], site: Site, now: int, zone: ZoneInfo, say: Speech = ENGLISH
) -> str:
    """Machine activity that nobody booked."""
    titles = {cell: say.title(place) for cell, place in site.workcells().items()}
    rows = [
        _row(
            [titles.get(run.workcell, run.workcell), clock_words(run.opened, now, zone), str(run.parts)],
            opens=f"workcell:{run.workcell}",
        )
        for run in runs
    ]
    return _table(("Workcell", "Since", "Parts"), rows, "everything the machines do is booked", say)


def sheet(shown: Sheet, say: Speech = ENGLISH) -> str:
    """A sheet with its tables. Headings are in English there, as keys."""
    parts = [f"<p>{escape(line)}</p>" for line in shown.lines]
    for table in shown.tables:
        if table.heading:
            parts.append(f"<h3>{escape(say(table.heading))}</h3>")
        rows = [_row(row.cells, "late" if row.late else "", row.opens) for row in table.rows]
        parts.append(_table(table.heads, rows, table.nothing, say))
    return "".join(parts)


def opening(address: str) -> str:
    """Attributes that make an element open the sheet at an address, by mouse and by keyboard."""
    return f'data-open="{escape(address)}" tabindex="0" role="button"' if address else ""


def _row(cells: Iterable[str], kind: str = "", opens: str = "") -> str:
    text = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="{kind}" {opening(opens)}>{text}</tr>'


def _table(heads: Sequence[str], rows: Sequence[str], nothing: str, say: Speech = ENGLISH) -> str:
    if not rows:
        return f'<div class="ok">{escape(say(nothing))}</div>'
    head = "".join(f"<th>{escape(say(name))}</th>" for name in heads)
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

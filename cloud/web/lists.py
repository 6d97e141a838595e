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
            row(
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
    return table(("Order", "What", "Done", "Promised", "Expected", ""), rows, "no open orders", say)


def stop_list(stops: Sequence[StopLine], site: Site, now: int, zone: ZoneInfo, say: Speech = ENGLISH) -> str:
    """Machine stops, newest first, with their reason or the lack of one."""
    rows, cells = [], site.workcells()
    for stop in stops:
        length = ((stop.closed or now) - stop.opened) / MICROSECONDS
        reason = say.code(site.stop_reasons, stop.reason) if stop.reason else say("? no reason yet")
        if stop.hint and not stop.reason:
            reason += f" ({say('machine says {reason}', reason=say.code(site.stop_reasons, stop.hint))})"
        rows.append(
            row(
                [
                    say.title(cells[stop.workcell]) if stop.workcell in cells else stop.workcell,
                    clock_words(stop.opened, now, zone),
                    ago(length) + ("" if stop.closed else say(" and going on")),
                    reason,
                ],
                opens=f"workcell:{stop.workcell}",
            )
        )
    return table(("Workcell", "Since", "How long", "Reason"), rows, "no stops", say)


def unassigned_list(
    runs: Sequence[UnassignedRun], site: Site, now: int, zone: ZoneInfo, say: Speech = ENGLISH
) -> str:
    """Machine activity that nobody booked."""
    titles = {cell: say.title(place) for cell, place in site.workcells().items()}
    rows = [
        row(
            [titles.get(run.workcell, run.workcell), clock_words(run.opened, now, zone), str(run.parts)],
            opens=f"workcell:{run.workcell}",
        )
        for run in runs
    ]
    return table(("Workcell", "Since", "Parts"), rows, "everything the machines do is booked", say)


def sheet(shown: Sheet, say: Speech = ENGLISH) -> str:
    """A sheet with its tables. Headings are in English there, as keys."""
    parts = [f"<p>{escape(line)}</p>" for line in shown.lines]
    for part in shown.tables:
        if part.heading:
            parts.append(f"<h3>{escape(say(part.heading))}</h3>")
        rows = [row(line.cells, "late" if line.late else "", line.opens) for line in part.rows]
        parts.append(table(part.heads, rows, part.nothing, say))
    return "".join(parts)


def opening(address: str) -> str:
    """Attributes that make an element open the sheet at an address, by mouse and by keyboard."""
    return f'data-open="{escape(address)}" tabindex="0" role="button"' if address else ""


def row(cells: Iterable[str], kind: str = "", opens: str = "") -> str:
    """One line of a table."""
    text = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="{kind}" {opening(opens)}>{text}</tr>'


def table(heads: Sequence[str], rows: Sequence[str], nothing: str, say: Speech = ENGLISH) -> str:
    """Rows under their heads, which are English here, as keys; ``nothing`` is said where there are none."""
    if not rows:
        return f'<div class="ok">{escape(say(nothing))}</div>'
    head = "".join(f"<th>{escape(say(name))}</th>" for name in heads)
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

"""The page's lists as HTML tables. Pure; every text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from cloud.dispatching.outlook import UnassignedRun
from cloud.web.board import OrderLine, StopLine, reason_words
from cloud.web.shapes import ago
from protocols.site import Site
from protocols.values import MICROSECONDS


def clock_words(ts: int | None, now: int, zone: ZoneInfo) -> str:
    """A time as people read it: with the day when it is not today."""
    if not ts:
        return "–"
    moment = datetime.fromtimestamp(ts / MICROSECONDS, zone)
    today = datetime.fromtimestamp(now / MICROSECONDS, zone).date()
    form = "%H:%M:%S" if moment.date() == today else "%a %d %b %H:%M"
    return moment.strftime(form)


def order_list(orders: Sequence[OrderLine], now: int, zone: ZoneInfo) -> str:
    """Orders with promised and expected finish; what is late says so in words."""
    rows = []
    for order in orders:
        late = f"▲ late {ago(order.late)}" if order.late else "on time" if order.expected else "not planned"
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
            )
        )
    return _table(("Order", "What", "Done", "Promised", "Expected", ""), rows, "no open orders")


def stop_list(stops: Sequence[StopLine], site: Site, now: int, zone: ZoneInfo) -> str:
    """Machine stops, newest first, with their reason or the lack of one."""
    rows = []
    for stop in stops:
        length = ((stop.closed or now) - stop.opened) / MICROSECONDS
        reason = reason_words(site, stop.reason) if stop.reason else "? no reason yet"
        if stop.hint and not stop.reason:
            reason += f" (machine says {reason_words(site, stop.hint)})"
        rows.append(
            _row(
                [
                    stop.workcell,
                    clock_words(stop.opened, now, zone),
                    ago(length) + ("" if stop.closed else " and going on"),
                    reason,
                ]
            )
        )
    return _table(("Workcell", "Since", "How long", "Reason"), rows, "no stops")


def unassigned_list(runs: Sequence[UnassignedRun], now: int, zone: ZoneInfo) -> str:
    """Machine activity that nobody booked."""
    rows = [_row([run.workcell, clock_words(run.opened, now, zone), str(run.parts)]) for run in runs]
    return _table(("Workcell", "Since", "Parts"), rows, "everything the machines do is booked")


def _row(cells: Iterable[str], kind: str = "") -> str:
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _table(heads: Sequence[str], rows: Sequence[str], nothing: str) -> str:
    if not rows:
        return f'<div class="ok">{escape(nothing)}</div>'
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

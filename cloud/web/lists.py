"""The page's lists as HTML tables. Pure; every text from outside is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from zoneinfo import ZoneInfo

from cloud.dispatching.asking.forecast import OrderForecast
from cloud.dispatching.keeping.outlook import UnassignedRun
from cloud.web.board import OrderLine, StopLine
from cloud.web.planning import expected
from cloud.web.sheet import Sheet, Teller
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago, clock_words, lateness
from protocols.site import Site
from protocols.values import MICROSECONDS

ORDER_HEADS = ("Order", "What", "Done", "Promised", "Expected", "Likely", "")


def order_list(orders: Sequence[OrderLine], site: Site, now: int, say: Speech = ENGLISH) -> str:
    """Orders with promised and expected finish; what is late says so in words."""
    rows, teller = [], Teller(site, now, say)
    labels = [say(head) for head in ORDER_HEADS]
    for order in orders:
        forecast = order.forecast
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
                    teller.time(order.promised),
                    teller.time(order.expected),
                    "–" if forecast is None else expected.between(forecast, teller),
                    _outcome(order.late, late, forecast, say),
                ],
                "late" if order.late else "",
                f"order:{order.id}",
                labels,
            )
        )
    return table(ORDER_HEADS, rows, "no open orders", say, kind="cards")


def _outcome(late: int, words: str, forecast: OrderForecast | None, say: Speech) -> str:
    """What the plan says, and how likely it is; *on time* is left out where something better is known."""
    likely = "" if forecast is None else expected.likely(forecast, say)
    return f"{words} · {likely}" if late and likely else likely or words


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
    parts.append(shown.picture)
    for part in shown.tables:
        if part.heading:
            parts.append(f"<h3>{escape(say(part.heading))}</h3>")
        rows = [row(line.cells, "late" if line.late else "", line.opens) for line in part.rows]
        parts.append(table(part.heads, rows, part.nothing, say))
    return "".join(parts)


def opening(address: str) -> str:
    """Attributes that make an element open the sheet at an address, by mouse and by keyboard."""
    return f'data-open="{escape(address)}" tabindex="0" role="button"' if address else ""


def row(cells: Sequence[str], kind: str = "", opens: str = "", labels: Sequence[str] = ()) -> str:
    """One line of a table. With ``labels`` it can be a card on a phone, where there is no room for heads."""
    named = [f' data-label="{escape(label)}"' for label in labels] or [""] * len(cells)
    text = "".join(f"<td{name}>{escape(cell)}</td>" for name, cell in zip(named, cells, strict=True))
    return f'<tr class="{kind}" {opening(opens)}>{text}</tr>'


def table(
    heads: Sequence[str], rows: Sequence[str], nothing: str, say: Speech = ENGLISH, kind: str = ""
) -> str:
    """Rows under their heads, which are English here, as keys; ``nothing`` is said where there are none.

    Those of kind ``cards`` become cards on a phone: their rows have labels.
    """
    if not rows:
        return f'<div class="ok">{escape(say(nothing))}</div>'
    head = "".join(f"<th>{escape(say(name))}</th>" for name in heads)
    return f'<table class="list {kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'

"""Whether a maintenance order may begin at a time, as a refusal with its limits. Pure.

The terminal asks as soon as a time is typed, before it asks for the reason; the edge when it decides.
"""

from __future__ import annotations

from datetime import datetime

from edge.station.refusals import Refusal
from protocols import order_window
from protocols.jobs import MaintenanceOrder
from protocols.order_window import Outside
from protocols.values import MICROSECONDS

_CODES = {Outside.PAST: "order-past", Outside.PARTS: "order-parts", Outside.BOUND: "order-bound"}


def require_within(order: MaintenanceOrder, start: int, now: int) -> None:
    """Raise Refusal for a begin outside the window of the order; times in µs UTC."""
    against = order_window.check(
        start, now=now, earliest=order.earliest, bound=order.bound, seconds=order.seconds
    )
    if against is not None:
        begin, limit, bound = (_clock(ts) for ts in (start, against.limit, order.bound))
        raise Refusal(_CODES[against.why], title=order.title, start=begin, limit=limit, bound=bound)


def _clock(ts: int) -> str:
    """A time on the clock of the station, the same in both languages."""
    return f"{datetime.fromtimestamp(ts / MICROSECONDS).astimezone():%m-%d %H:%M}"

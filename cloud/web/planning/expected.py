"""Will it be on time? The range in which an order ends, and how likely that is in time, in words. Pure."""

from __future__ import annotations

from datetime import datetime

from cloud.dispatching.asking.forecast import LagForecast, OrderForecast
from cloud.web.sheet import Teller
from cloud.web.speech import Speech
from cloud.web.words import span
from protocols.values import MICROSECONDS

NAMED = 5
"""Longest waits of an order that are named, the worst first."""
LEAST = 0.01
"""The smallest share that is told as a number."""
_TIME, _DAY = "%H:%M", "%a %d %b %H:%M"

LIKELY: tuple[tuple[float, str], ...] = (
    (0.95, "almost certainly in time"),
    (0.75, "probably in time"),
    (0.5, "rather in time"),
    (0.25, "rather late"),
    (0.05, "probably late"),
    (0.0, "almost certainly late"),
)
"""From which share of samples that keep the due date it is said so."""


def likely(forecast: OrderForecast, say: Speech) -> str:
    """How likely an order is in time, in words and as a share; empty where it has no due date."""
    if forecast.on_time is None:
        return ""
    share = forecast.on_time
    words = next(words for least, words in LIKELY if share >= least)
    return f"{say(words)} ({100 * share:.0f} %)"


def between(forecast: OrderForecast, t: Teller) -> str:
    """From when to when it ends in eight of ten samples, to the minute; its day where that is not today."""
    first, last = (datetime.fromtimestamp(ts / MICROSECONDS, t.zone) for ts in (forecast.p10, forecast.p90))
    today = datetime.fromtimestamp(t.now / MICROSECONDS, t.zone).date()
    begin = f"{first:{_TIME if first.date() == today else _DAY}}"
    return f"{begin} – {last:{_TIME if last.date() == first.date() else _DAY}}"


def lines(forecast: OrderForecast, t: Teller) -> list[str]:
    """What the sheet of an order says of it."""
    found = [t.say("likely {range}, eight times out of ten", range=between(forecast, t))]
    words = likely(forecast, t.say)
    found += [words] if words else []
    return [*found, *(_lag(lag, t.say) for lag in forecast.lags[:NAMED])]


def _lag(lag: LagForecast, say: Speech) -> str:
    return say(
        "△ {operation} must follow {before} within {most}: in {share} of the cases it does not",
        operation=lag.operation,
        before=lag.predecessor,
        most=span(lag.most),
        share=f"{100 * lag.broken:.0f} %" if lag.broken >= LEAST else f"< {100 * LEAST:.0f} %",
    )

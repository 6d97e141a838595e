"""Interruptible work rests over pauses of its machine: it begins before them, goes on after, and ends later.

For each pause that an option may rest over there are three literals, one of which holds: the work lies after
the pause, it rests over it, or it lies before it. All of its time follows from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from cloud.dispatching.solving.activities import Activity, Block, Option, Shop
from cloud.dispatching.solving.exact.variables import Choice, Rest, Variables


def pauses(shop: Shop, activity: Activity, option: Option, horizon: int) -> list[Block]:
    """The pauses that ``activity`` may rest over on ``option``'s machine before ``horizon``."""
    if not activity.interruptible:
        return []
    station = shop.stations[option.station]
    # A changeover may lie before the release, but over no pause.
    since = shop.problem.now if station.has_changeovers else option.release
    return [b for b in station.blocks if b.pause and b.start < horizon and b.end > since]


def literals(shop: Shop, horizon: int) -> int:
    """How many literals the rests of ``shop`` take."""
    return sum(
        3 * len(pauses(shop, activity, option, horizon))
        for activity in shop.activities
        if activity.interruptible
        for option in activity.options
    )


def add_rests(
    m: Variables, option: Option, choice: Choice, start: Any, end: Any, over: Sequence[Block]
) -> None:
    """The end of interruptible work on ``option``, with the pauses that it rests ``over``."""
    model = m.model
    for pause in over:
        rest = Rest(pause, model.new_bool_var(""), model.new_bool_var(""), model.new_bool_var(""))
        absent = [] if choice.present is True else [~choice.present]
        model.add_exactly_one(rest.after, rest.over, rest.before, *absent)
        model.add(choice.begin >= pause.end).only_enforce_if(rest.after)
        model.add(end <= pause.start).only_enforce_if(rest.before)
        model.add(start < pause.start).only_enforce_if(rest.over)
        model.add(end > pause.end).only_enforce_if(rest.over)
        choice.rests.append(rest)
    for one, other in pairwise(choice.rests):
        # In the order of the pauses; both hold for absent work, which has none of the literals.
        model.add_implication(other.after, one.after)
        model.add_implication(one.before, other.before)
    rested = sum((r.pause.end - r.pause.start) * r.over for r in choice.rests)
    m.only_if(model.add(end == start + option.seconds + rested), choice.present)

"""Why was this moved? The newest plan in a line, how far the next is, the plans before. No NiceGUI."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from cloud.dispatching.keeping import plans
from cloud.dispatching.keeping.making import SearchProgress
from cloud.dispatching.keeping.plans import Cause, Difference, StoredPlan
from cloud.web.planning.causes import Title, cause_words, causes_words
from cloud.web.sheet import Reader, Row, Sheet, Table
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import clock_words, span

NOTICED = 30
"""Seconds by which an order must move to be spoken of."""
SHOWN = 40
"""Plans of the past on their sheet."""


def line(plan: StoredPlan | None, now: int, zone: ZoneInfo, say: Speech, title: Title) -> str:
    """The plan in force: when it was made, how long that took, why, and what it changed."""
    if plan is None:
        return say("no plan yet")
    text = say(
        "{time} planned anew in {seconds} s: {why}",
        time=clock_words(plan.created, now, zone),
        seconds=f"{plan.seconds:.1f}",
        why=causes_words(plan.causes, say, title) or say("no cause kept"),
    )
    return f"{text} — {changes(plan.difference, say)}"


def changes(difference: Difference, say: Speech) -> str:
    """What a plan changed, the worst first."""
    later = [shift for shift in difference.orders if shift.seconds >= NOTICED]
    earlier = sum(shift.seconds <= -NOTICED for shift in difference.orders)
    parts = []
    if later:
        worst = max(later, key=lambda shift: shift.seconds)
        by = span(worst.seconds)
        parts.append(
            say("order {order} {time} later", order=worst.order, time=by)
            if len(later) == 1
            else say(
                "{count} orders later, worst {order} by {time}", count=len(later), order=worst.order, time=by
            )
        )
    if earlier:
        parts.append(say("1 order earlier") if earlier == 1 else say("{count} orders earlier", count=earlier))
    if elsewhere := len(difference.moved):
        parts.append(
            say("1 operation at another workcell")
            if elsewhere == 1
            else say("{count} operations at another workcell", count=elsewhere)
        )
    return ", ".join(parts) or say("no order moves")


def planning(progress: SearchProgress, say: Speech = ENGLISH) -> str:
    """How far the plan being made is; empty while none is."""
    if not progress.searching:
        return ""
    seconds = f"{progress.seconds:.1f}"
    if progress.gap is None:
        return say("planning … {seconds} s", seconds=seconds)
    return say("planning … {seconds} s, gap {gap}", seconds=seconds, gap=f"{100 * progress.gap:.0f} %")


def history(r: Reader, _: str) -> Sheet:
    """The last plans, newest first."""
    rows = [
        Row(
            (
                r.time(plan.created),
                causes_words(plan.causes, r.say, r.title, shown=2) or r.say("no cause kept"),
                changes(plan.difference, r.say),
                f"{plan.seconds:.1f} s",
            ),
            f"replan:{plan.version}",
        )
        for plan in plans.history(r.tx, limit=SHOWN)
    ]
    heads = ("When", "Why", "What it changed", "Planning took")
    lines = (
        r.say("a plan is made anew when the floor differs from the one in force: the newest is in force"),
    )
    return Sheet(r.say("Why it was planned anew"), lines, (Table("", heads, rows, "no plan yet"),))


def replan(r: Reader, name: str) -> Sheet:
    """One plan of the past: all its causes, and who was moved by it."""
    plan = plans.stored(r.tx, int(name)) if name.isdecimal() and len(name) < 19 else None
    if plan is None:
        return Sheet(r.say("plan {version}", version=name), (r.say("there is no such plan"),))
    changed = plan.difference
    orders = sorted(changed.orders, key=lambda shift: (-abs(shift.seconds), shift.order))
    tables = (
        Table(
            "Orders that moved",
            ("Order", "By"),
            [Row((shift.order, by(shift.seconds, r.say)), f"order:{shift.order}") for shift in orders],
            "no order moves",
        ),
        Table(
            "Operations that moved, what moved most first",
            ("Operation", "Order", "Before", "Now at", "By"),
            [
                Row(
                    (
                        move.operation,
                        move.order,
                        r.title(move.before),
                        r.title(move.after),
                        by(move.seconds, r.say),
                    ),
                    f"operation:{move.operation}",
                )
                for move in changed.moves
            ],
            "none is kept one by one: old plans keep numbers only",
        ),
    )
    numbers = r.say(
        "{later} operations later, {earlier} earlier, {added} new, {dropped} gone",
        later=changed.later,
        earlier=changed.earlier,
        added=changed.added,
        dropped=changed.dropped,
    )
    made = r.say("planned {time} in {seconds} s", time=r.time(plan.created), seconds=f"{plan.seconds:.1f}")
    return Sheet(
        r.say("plan {version}", version=plan.version), (made, *_whys(r, plan.causes), numbers), tables
    )


def _whys(r: Reader, causes: tuple[Cause, ...]) -> list[str]:
    return [f"• {cause_words(cause, r.say, r.title)}" for cause in causes]


def by(seconds: int, say: Speech) -> str:
    """A shift with its direction in a sign and a word."""
    if abs(seconds) < 1:
        return say("same time")
    return say("→ {time} later" if seconds > 0 else "← {time} earlier", time=span(seconds))

"""What a change would do to the plan, as a person would say it: what matters most first. Pure.

Every text from outside is escaped here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape

from cloud.dispatching.asking.scenarios import ScenarioAnswer, ScenarioState
from cloud.dispatching.asking.told import Compared, OrderNews
from cloud.dispatching.questions.comparison import Fate
from cloud.dispatching.questions.sentences import amount, signed_amount
from cloud.dispatching.shop.money import Lack, Part, Rate
from cloud.web.lists import row, table
from cloud.web.sheet import Teller
from cloud.web.speech import Speech
from cloud.web.words import span
from protocols.values import MICROSECONDS

NAMED = 3
"""Orders that a sentence names."""
SHOWN = 40
"""Orders in the table."""

ORDER_HEADS = ("Order", "Due", "Before", "After", "Late before", "Late after", "What becomes of it")
FIGURE_HEADS = ("In figures", "Before", "After", "Difference")


def headline(compared: Compared, t: Teller) -> str:
    """The one sentence: who is later and by how much, what comes in, and the changeovers."""
    return "; ".join(_news(compared, t))


def _news(compared: Compared, t: Teller) -> Iterator[str]:
    say = t.say
    hurt = [order for order in compared.orders if order.fate in (Fate.BECOMES_LATE, Fate.LATER_STILL)]
    if hurt:
        worst = max(hurt, key=later_late)
        yield (
            say(
                "order {order} misses its date by {time} more",
                order=worst.order,
                time=span(later_late(worst)),
            )
            if len(hurt) == 1
            else say(
                "{count} orders later than promised, worst {order} by {time}",
                count=len(hurt),
                order=worst.order,
                time=span(later_late(worst)),
            )
        )
    for order in (one for one in compared.orders if one.fate in (Fate.ADDED, Fate.ADDED_LATE)):
        yield _added(order, t)
    if not hurt:
        yield say("no order becomes later than promised")
    helped = [one for one in compared.orders if one.fate in (Fate.IN_TIME_AGAIN, Fate.LESS_LATE)]
    if helped:
        names = ", ".join(order.order for order in helped[:NAMED]) + (" …" if len(helped) > NAMED else "")
        yield say("{count} less late: {orders}", count=len(helped), orders=names)
    changeover = compared.after.changeover_seconds - compared.before.changeover_seconds
    if changeover:
        yield say("changeovers {time}", time=signed(changeover))
    before, after = compared.before.money, compared.after.money
    if before is not None and after is not None:
        yield say("costs {amount}", amount=f"{signed_amount(after.total - before.total)} {after.currency}")


def later_late(order: OrderNews) -> int:
    """Seconds by which an order is later against its date than before (negative: less late)."""
    return (order.late_after or 0) - (order.late_before or 0)


def _added(order: OrderNews, t: Teller) -> str:
    if order.late_after:
        return t.say(
            "the new order {order} ends {time}, {late} late",
            order=order.order,
            time=t.time(order.after),
            late=span(order.late_after),
        )
    return t.say("the new order {order} ends {time}, in time", order=order.order, time=t.time(order.after))


def signed(seconds: int) -> str:
    """A difference with its sign: ``+20 min``, ``−3 h``."""
    return f"{'+' if seconds > 0 else '−'}{span(seconds)}" if seconds else "±0"


def sentences(compared: Compared, say: Speech) -> list[str]:
    """What there is to say beside the headline."""
    if not compared.moved:
        return [say("no operation of the plan moves")]
    return [
        say(
            "{moved} of {movable} operations that can move do ({share})",
            moved=compared.moved,
            movable=compared.movable,
            share=f"{100 * compared.share:.0f} %",
        )
    ]


# --- tables ---------------------------------------------------------------------------------------------


def orders(compared: Compared, t: Teller) -> str:
    """The orders that change, what matters most first."""
    labels = [t.say(head) for head in ORDER_HEADS]
    rows = [
        row(
            (
                order.order,
                t.time(order.due),
                t.time(order.before),
                t.time(order.after),
                _late(order.late_before),
                _late(order.late_after),
                becomes(order, t.say),
            ),
            "late" if order.fate in _BAD else "",
            labels=labels,
        )
        for order in compared.orders[:SHOWN]
    ]
    whole = table(ORDER_HEADS, rows, "no order ends at another time", t.say, kind="cards moved")
    if (more := len(compared.orders) - SHOWN) > 0:
        whole += f'<div class="more">{escape(t.say("and {more} more orders", more=more))}</div>'
    return whole


_BAD = (Fate.BECOMES_LATE, Fate.LATER_STILL, Fate.ADDED_LATE)


def _late(seconds: int | None) -> str:
    return "–" if not seconds else f"▲ {span(seconds)}"


def becomes(order: OrderNews, say: Speech) -> str:
    """What becomes of an order: a shape and words."""
    phrase = _FATES[order.fate]
    return say(phrase, time=span(later_late(order) or order.later))


_FATES = {
    Fate.BECOMES_LATE: "▲ becomes late by {time}",
    Fate.LATER_STILL: "▲ later still by {time}",
    Fate.LESS_LATE: "← less late by {time}",
    Fate.IN_TIME_AGAIN: "✓ in time again, {time} less late",
    Fate.ADDED_LATE: "▲ new, late by {time}",
    Fate.ADDED: "✓ new, in time",
    Fate.CANCELLED: "✕ falls away",
    Fate.ENDS_LATER: "→ {time} later, in time still",
    Fate.ENDS_EARLIER: "← {time} earlier",
    Fate.SAME: "as before",
}
FATES: Sequence[str] = tuple(_FATES.values())


def figures(compared: Compared, t: Teller) -> str:
    """Both plans in numbers, side by side."""
    before, after = compared.before, compared.after
    rows: list[tuple[str, int, int, Callable[[int], str], Callable[[int], str]]] = [
        (t.say("late orders"), before.late_orders, after.late_orders, str, _number),
        (t.say("lateness of all orders"), before.late_seconds, after.late_seconds, span, signed),
        (t.say("changeovers"), before.changeover_seconds, after.changeover_seconds, span, signed),
        (t.say("all work ends"), before.end, after.end, t.time, _shift),
        (
            t.say("weighted cost, not counting moved work"),
            before.cost,
            after.cost,
            "{:,}".format,
            _number,
        ),
    ]
    drawn = [
        row((name, tell(old), tell(new), difference(new - old))) for name, old, new, tell, difference in rows
    ]
    return table(FIGURE_HEADS, drawn, "none", t.say)


PARTS: Mapping[Part, str] = {
    Part.WORKING: "working",
    Part.SETUP: "set-ups and changeovers",
    Part.OVERTIME: "surcharge for overtime",
    Part.SERVICE: "who maintains machines",
    Part.LATENESS: "late orders",
}
RATES: Mapping[Rate, str] = {
    Rate.CURRENCY: "the currency (costs: currency)",
    Rate.PER_HOUR: "cost_per_hour of {names}",
    Rate.OVERTIME: "what overtime costs more (costs: overtime_percent)",
    Rate.LATE: "what lateness costs (costs: late_per_hour)",
}
NO_MONEY = "Nothing is told in money before the site file has rates: {rates}"
NOT_ALL = "Without a rate in the site file, and so not counted: {rates}"


def costs(compared: Compared, t: Teller) -> str:
    """Both plans in money, part by part, and which rates the site file lacks."""
    whole, before, after = "", compared.before.money, compared.after.money
    if before is not None and after is not None:
        rows = [(t.say(PARTS[part]), before.part(part), after.part(part)) for part in Part]
        rows = [row for row in rows if row[1] or row[2]]
        rows.append((t.say("all together"), before.total, after.total))
        drawn = [row((name, amount(old), amount(new), signed_amount(new - old))) for name, old, new in rows]
        heads = (t.say("Cost in {currency}", currency=after.currency), *FIGURE_HEADS[1:])
        whole = table(heads, drawn, "none", t.say)
    if compared.lacks:
        rates = ", ".join(_rate(lack, t) for lack in compared.lacks)
        text = t.say(NO_MONEY if after is None else NOT_ALL, rates=rates)
        whole += f'<div class="more">{escape(text)}</div>'
    return whole


def _rate(lack: Lack, t: Teller) -> str:
    names = ", ".join(t.title(name) for name in lack.names[:NAMED])
    return t.say(RATES[lack.rate], names=names + (" …" if len(lack.names) > NAMED else ""))


def _number(difference: int) -> str:
    return f"{difference:+,}".replace("-", "−") if difference else "±0"


def _shift(difference: int) -> str:
    return signed(round(difference / MICROSECONDS))


# --- the search -----------------------------------------------------------------------------------------

_STATES = {
    ScenarioState.WAITING: "first answer; the search for better ones waits for its turn",
    ScenarioState.SEARCHING: "searching for better: {seconds} s of {most} s",
    ScenarioState.FINISHED: "searched for {seconds} s",
    ScenarioState.FAILED: "the search broke off after {seconds} s; the answer so far stands",
    ScenarioState.ACCEPTED: "accepted: it is planned anew from this plan",
}
STATES: Sequence[str] = tuple(_STATES.values())


def progress(answer: ScenarioAnswer, most: float, say: Speech) -> str:
    """How far the search is: seconds, plans found, cost, and the gap that may still be saved."""
    phrase = _STATES[answer.state]
    parts = [say(phrase, seconds=f"{answer.seconds:.0f}", most=f"{most:.0f}")]
    parts.append(
        say("plan {count}, cost with moved work {cost}", count=answer.plans, cost=f"{answer.cost:,}")
    )
    if answer.bound is not None:
        parts.append(say("no plan costs less than {bound}", bound=f"{answer.bound:,.0f}"))
    if answer.gap is not None:
        parts.append(
            say("proved: there is no better one")
            if answer.gap <= 0
            else say("gap {gap}", gap=f"{100 * answer.gap:.0f} %")
        )
    return " · ".join(parts)


def share(answer: ScenarioAnswer, most: float) -> float:
    """How much of the search is over, 0…1."""
    over = answer.state not in (ScenarioState.WAITING, ScenarioState.SEARCHING)
    return 1.0 if over or not most else min(1.0, answer.seconds / most)


def html(answer: ScenarioAnswer, t: Teller) -> str:
    """The whole comparison."""
    compared = answer.comparison
    first, *more = _news(compared, t)
    news = "".join(f"<li>{escape(line)}</li>" for line in (*more, *sentences(compared, t.say)))
    stale = ""
    if answer.stale:
        text = t.say(
            "▲ the plan has changed since this was asked: ask again for a comparison with the new one"
        )
        stale = f'<p class="stale-answer">{escape(text)}</p>'
    return (
        f'{stale}<p class="headline">{escape(first)}</p><ul class="news">{news}</ul>'
        f"<h3>{escape(t.say('Orders that move'))}</h3>{orders(compared, t)}"
        f"<h3>{escape(t.say('Both plans'))}</h3>{figures(compared, t)}{costs(compared, t)}"
    )

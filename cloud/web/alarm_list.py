"""Alarms as the page shows them: the most severe first, how old, acknowledged or not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cloud.ledger.alarms import Alarm
from cloud.web.speech import Speech
from cloud.web.words import ago
from protocols.values import MICROSECONDS

SHOWN = 8
"""Alarms on the page itself; the sheet behind it has more."""
SEVERE, MEDIUM = 800, 400
"""Severities (1 to 1000) from which an alarm is shown as severe or as medium."""


def grade(alarm: Alarm, say: Speech) -> str:
    """Shape, word and number: never a colour alone."""
    if not alarm.severity:
        return "–"
    shape, word = (
        ("▲", say("severe"))
        if alarm.severity >= SEVERE
        else ("△", say("medium"))
        if alarm.severity >= MEDIUM
        else ("▽", say("low"))
    )
    return f"{shape} {word} {alarm.severity}"


def acknowledgement(alarm: Alarm, say: Speech) -> str:
    """Whether somebody has taken note of it at the machine; a plain alarm tag does not say."""
    if alarm.acknowledged is not None:
        return say("✓ acknowledged")
    return say("not acknowledged") if alarm.severity else "–"


def cells(alarm: Alarm, now: int, say: Speech) -> tuple[str, ...]:
    """One alarm as the cells of a row; see ``HEADS``."""
    return (
        grade(alarm, say),
        alarm.device,
        alarm.source or "–",
        alarm.text or alarm.alarm,
        ago(max(0, now - alarm.raised) / MICROSECONDS),
        acknowledgement(alarm, say),
    )


HEADS = ("Severity", "Machine", "Source", "Alarm", "For", "At the machine")


def alarm_list(alarms: Sequence[Alarm], standing: int, now: int, say: Speech) -> str:
    """The worst alarms, and how many more stand."""
    if not standing:
        return f'<div class="ok">{escape(say("no alarms"))}</div>'
    rows = "".join(
        f'<tr class="{"severe" if alarm.severity >= SEVERE else ""}" '
        f'data-open="alarms:{escape(alarm.device)}" tabindex="0" role="button">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(alarm, now, say))
        + "</tr>"
        for alarm in alarms[:SHOWN]
    )
    head = "".join(f"<th>{escape(say(name))}</th>" for name in HEADS)
    table = f'<table class="list alarms"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    more = standing - min(len(alarms), SHOWN)
    if more <= 0:
        return table
    words = escape(say("and {more} more alarms", more=more))
    return f'{table}<div class="more" data-open="alarms:" tabindex="0" role="button">{words}</div>'

"""What needs somebody now: calls, silent edges, machines, late orders, cases, stops, exceptions. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloud.web.maintenance import on_the_board
from cloud.web.need import Need
from cloud.web.plant import plant
from cloud.web.quality.needs import needs as quality_needs
from cloud.web.situation import Situation
from cloud.web.speech import Speech
from cloud.web.words import lateness
from protocols.lifecycles import LockState

SHOWN = 12
"""Late orders, and entries of the exceptions inbox, that are named one by one."""
SHOWN_ALARMS = 4
"""Severe alarms that nobody has acknowledged, named one by one."""
SEVERE = 800
"""Severity (1 to 1000) from which an alarm that nobody has acknowledged needs somebody now."""
LAST = 2**62
"""A time (µs UTC) behind all others: of what says how many there are beyond."""


def needs(situation: Situation, say: Speech) -> Iterator[Need]:
    """Everything, kind by kind; whoever shows it puts it in order."""
    names = dict(plant(situation.site, say))

    def name(cell: str) -> str:
        return names.get(cell, cell)

    found = situation.found
    yield from _calls(situation, name, say)
    yield from _edges_away(situation, say)
    yield from _other_machines(situation, say)
    yield from _severe_alarms(situation, say)
    yield from _released(situation, say)
    yield from _late_orders(situation, say)
    yield from quality_needs(found.nonconformances, found.charts, say)
    asked = (on_the_board.asks(case, found.placed, situation.now, say) for case in found.cases)
    yield from (Need(*one) for one in asked if one is not None)
    yield from _unexplained_stops(situation, name, say)
    yield from _exceptions(situation, say)


def _calls(situation: Situation, name: Callable[[str], str], say: Speech) -> Iterator[Need]:
    for call in situation.found.andons:
        topic = say.code(situation.site.andon_topics, call.topic)
        text = say("Andon {place}: {topic}", place=name(call.workcell), topic=topic)
        yield Need(1, call.raised, "⚑", text, call.note, f"workcell:{call.workcell}")


def _edges_away(situation: Situation, say: Speech) -> Iterator[Need]:
    for edge, seen in situation.away.items():
        text, detail = say("Edge {edge} is away", edge=edge), say("work goes on there; its data comes later")
        yield Need(2, seen, "✕", text, detail, f"edge:{edge}")


def _other_machines(situation: Situation, say: Speech) -> Iterator[Need]:
    """Machines that are not connected, or are others than they should be."""
    owner = {device.id: edge.id for edge in situation.site.edges for device in edge.devices}
    for name, edge in owner.items():
        machine = situation.found.machines.get(name)
        if machine is None or edge in situation.away:
            continue
        opens = f"device:{name}"
        if not machine.connected:
            text = say("{device} is not connected", device=name)
            yield Need(3, machine.connected_since, "✕", text, machine.detail, opens)
        elif machine.firmware:
            text = say(
                "{device}: firmware {firmware} waits to be accepted", device=name, firmware=machine.firmware
            )
            todo = say("check that its values are right, then accept it at its station (F10)")
            yield Need(5, machine.connected_since, "▲", text, todo, opens)
        elif machine.differs:
            text = say("{device} is not the machine of its profile", device=name)
            yield Need(3, machine.connected_since, "▲", text, machine.differs, opens)


def _severe_alarms(situation: Situation, say: Speech) -> Iterator[Need]:
    alarms = situation.found.alarms
    severe = [alarm for alarm in alarms if alarm.severity >= SEVERE and alarm.acknowledged is None]
    for alarm in severe[:SHOWN_ALARMS]:
        source = f"{alarm.source} · " if alarm.source else ""
        detail = source + say("severe alarm, not acknowledged")
        text = f"{alarm.device}: {alarm.text or alarm.alarm}"
        yield Need(2, alarm.raised, "▲", text, detail, f"alarms:{alarm.device}")
    if len(severe) > SHOWN_ALARMS:
        more = say("and {more} more severe alarms", more=len(severe) - SHOWN_ALARMS)
        yield Need(2, LAST, "▲", more, "", "alarms:")


def _released(situation: Situation, say: Speech) -> Iterator[Need]:
    """Locks that their owners have released, which production has yet to accept."""
    for machine in situation.found.machines.values():
        lock = machine.lock
        if lock is not None and lock.state == LockState.RELEASED:
            text = say("{device} waits to be accepted", device=machine.id)
            todo = say("{owner} has released it; production accepts it at its station", owner=lock.owner)
            yield Need(5, lock.since, "⊘", text, todo, f"edge:{machine.edge}")


def _late_orders(situation: Situation, say: Speech) -> Iterator[Need]:
    late = sorted((order for order in situation.found.orders if order.late), key=lambda o: o.promised)
    for order in late[:SHOWN]:
        text = say("Order {order} will be late", order=order.id)
        detail = say("by {time}", time=lateness(order.late))
        yield Need(3, order.promised, "▲", text, detail, f"order:{order.id}")
    if len(late) > SHOWN:
        yield Need(3, LAST, "▲", say("and {more} more orders", more=len(late) - SHOWN), "", "late")


def _unexplained_stops(situation: Situation, name: Callable[[str], str], say: Speech) -> Iterator[Need]:
    reasons = situation.site.stop_reasons
    for stop in situation.found.standing:
        if stop.id not in situation.found.reasons:
            text = say("{place} stopped, no reason given", place=name(stop.workcell))
            hint = say("machine says {reason}", reason=say.code(reasons, stop.hint)) if stop.hint else ""
            yield Need(7, stop.opened, "■", text, hint, f"workcell:{stop.workcell}")


def _exceptions(situation: Situation, say: Speech) -> Iterator[Need]:
    inbox = situation.found.inbox
    for entry in inbox[:SHOWN]:
        detail = say("{kind} · for the {owner}", kind=entry.kind, owner=say(entry.owner))
        yield Need(8, entry.ts, "?", entry.text, detail, "inbox", "settle", str(entry.id))
    if len(inbox) > SHOWN:
        yield Need(8, LAST, "?", say("and {more} more exceptions", more=len(inbox) - SHOWN), "", "inbox")

"""What supervisors decided about planning, as sheets: all in force, and one to take back. No NiceGUI."""

from __future__ import annotations

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, Kind
from cloud.web.sheet import Reader, Row, Sheet, Table


def words(r: Reader, decision: Decision) -> str:
    """One decision without its times."""
    at = r.title(decision.workcell) if decision.workcell else r.say("the whole site")
    if decision.kind is Kind.OVERTIME:
        return r.say("overtime at {place}", place=at)
    if decision.kind is Kind.CLOSED:
        return r.say("{place} is closed", place=at)
    if decision.kind is Kind.HEADS:
        return r.say(
            "{count} more for {skill}" if decision.heads > 0 else "{count} fewer for {skill}",
            count=abs(decision.heads),
            skill=decision.skill,
        )
    if decision.workcell:
        return r.say("{operation} stays at {place}", operation=decision.operation, place=at)
    return r.say("{operation} keeps its time", operation=decision.operation)


def in_force(r: Reader, _: str) -> Sheet:
    """Decisions that the planner heeds now or will heed."""
    rows = [
        Row(
            (
                words(r, decision),
                r.time(decision.start),
                r.time(decision.end),
                decision.reason,
                decision.actor,
                r.time(decision.made),
            ),
            f"decision:{decision.id}",
        )
        for decision in decisions.current(r.tx, r.now)
    ]
    heads = ("What", "Begins", "Until", "Reason", "By whom", "Decided")
    lines = (r.say("a decision holds until it is over or revoked; open one to revoke it"),)
    nothing = "nothing is decided: the planner goes by the site file"
    return Sheet(r.say("Decisions in force"), lines, (Table("", heads, rows, nothing),))


def one(r: Reader, name: str) -> Sheet:
    """One decision, with the way to take it back."""
    found = next((d for d in decisions.current(r.tx, r.now) if str(d.id) == name), None)
    if found is None:
        return Sheet(r.say("Decision {name}", name=name), (r.say("it is over, or was revoked"),))
    times = r.say("from {start} until {end}", start=r.time(found.start), end=r.time(found.end))
    lines = [words(r, found), times]
    if found.kind is Kind.PIN:
        lines[1] = r.say("from {start}, until it has begun", start=r.time(found.start))
    if found.reason:
        lines.append(r.say("because: {reason}", reason=found.reason))
    lines.append(r.say("decided by {actor}, {time}", actor=found.actor, time=r.time(found.made)))
    return Sheet(r.say("Decision {name}", name=name), tuple(lines), acts=(("revoke", name),))


def pin_of(r: Reader, operation: str) -> Decision | None:
    """What somebody decided about the place or time of an operation."""
    current = decisions.current(r.tx, r.now)
    return next((d for d in current if d.kind is Kind.PIN and d.operation == operation), None)

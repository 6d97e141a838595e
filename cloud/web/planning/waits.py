"""Why an operation begins when it does, in sentences: what it waits for, and what that waits for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from cloud.dispatching.floor.floor import current_version, read_plan
from cloud.dispatching.keeping import plans
from cloud.dispatching.shop.explanation import Cause, Link
from cloud.orders.tables import operation as operations
from cloud.web.sheet import Reader, Teller
from cloud.web.words import span
from protocols.site import Crew, Tool
from protocols.values import MICROSECONDS

_CHANGEOVER = ", then {extra} of changeover"
SENTENCES: Mapping[Cause, tuple[str, str]] = {
    Cause.PREDECESSOR: (
        "{operation} waits until {until} for {other}",
        ", with {extra} of transport or waiting after it",
    ),
    Cause.PIECES: (
        "{operation} waits until {until} for the first pieces of {other} ({pieces})",
        ", with {extra} of transport or waiting after them",
    ),
    Cause.LAST_PIECES: (
        "{operation} does not begin before {until}: its last pieces ({pieces}) must follow {other}",
        ", with {extra} of transport or waiting in between",
    ),
    Cause.MACHINE: (
        "{operation} waits until {until} for {machine}, because {other} runs there",
        _CHANGEOVER,
    ),
    Cause.RESOURCE: (
        "{operation} waits until {until} for {resource}, because {other} needs it until then",
        _CHANGEOVER,
    ),
    Cause.VEHICLE: ("{operation} waits until {until} for a vehicle that brings what {other} made", ""),
    Cause.FOLLOWER: ("{operation} could begin earlier, but {other} must follow it in time and cannot", ""),
    Cause.PIN: ("{operation} is not to begin before {until}: {other} decided so", ""),
    Cause.MAINTENANCE: (
        "{operation} waits until {until} for {machine}, because of maintenance {other}",
        _CHANGEOVER,
    ),
    Cause.UNAVAILABLE: (
        "{operation} waits until {until} for {machine}, which is not available: {other}",
        _CHANGEOVER,
    ),
    Cause.EARLIEST: ("{operation} may not begin before {until}", ""),
    Cause.LEASE: ("{operation} is held by its station from {until} on", ""),
    Cause.FIXED: ("{operation} is fixed on {machine}", ""),
    Cause.NOW: ("{operation} begins on {machine} at once", ", after {extra} of changeover"),
    Cause.KEPT: ("{operation} could begin earlier; the plan leaves it where it is", " (by {extra})"),
    Cause.REST: ("{operation} ends only at {until}, because it rests over {other}", " ({extra})"),
}
"""By cause, with how it goes on where seconds pass in between."""
NO_MORE = "{operation} waits until {until}, when there is more of {resource}"
MOST = 12
"""Links of a chain that are told."""


def chain(r: Reader, operation: str) -> list[str]:
    """What ``operation`` waits for in the plan in force, link by link; nothing where it is not in it."""
    found = plans.explanation(r.tx, operation)
    if found is None:
        return []
    planned = read_plan(r.tx, current_version(r.tx)).get(operation)
    if planned is None:
        return []
    # A link counts seconds from the origin of its plan, which the plan's own times give away.
    origin = planned.start - found.assignment.start * MICROSECONDS
    links = found.links[:MOST]
    names = _names(r, {name for link in links for name in (link.operation, link.other) if name})
    sentences = [sentence(r, link, origin, names) for link in links]
    if len(found.links) > MOST:
        sentences.append(r.say("… and {more} links more", more=len(found.links) - MOST))
    return sentences


def sentence(t: Teller, link: Link, origin: int, names: Mapping[str, str]) -> str:
    """One link in words; ``names`` are what operations are called, ``origin`` of its times is µs UTC."""
    phrase, more = SENTENCES[link.cause]
    if link.cause is Cause.RESOURCE and not link.other:
        phrase = NO_MORE
    said = t.say(
        phrase,
        operation=names.get(link.operation, link.operation),
        other=names.get(link.other) or ", ".join(map(t.say, link.other.split(", "))),
        machine=t.title(link.machine),
        resource=_resource(t, link.resource),
        pieces=link.pieces,
        until=t.time(origin + link.until * MICROSECONDS),
    )
    return said + t.say(more, extra=span(link.seconds)) if more and link.seconds else said


def _resource(t: Teller, label: str) -> str:
    """A crew or tool, which the plan knows by its English title."""
    shared: Sequence[Crew | Tool] = (*t.site.crew.values(), *t.site.tools.values())
    found = {thing.title: thing for thing in shared}.get(label)
    return label if found is None else t.say.either(found.title, found.title_zh)


def _names(r: Reader, ids: Collection[str]) -> dict[str, str]:
    """Operations with what they do: an id alone says little."""
    at = operations.c
    rows = r.tx.execute(select(at.id, at.title, at.title_zh).where(at.id.in_(ids)))
    return {row.id: f"{row.id} ({r.say.either(row.title, row.title_zh)})" for row in rows}

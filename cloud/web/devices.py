"""The devices as the page shows them: connected or not, how old their data is, why, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from cloud.ledger.reading import Machine
from cloud.web.speech import Speech
from cloud.web.words import ago
from protocols.lifecycles import LockState
from protocols.site import Device, Site
from protocols.values import MICROSECONDS

STALE = 10 * MICROSECONDS
"""µs without a confirmed read after which a machine's data counts as old."""
SILENT = 25 * MICROSECONDS
"""µs after which a connected device counts as one without new values: two heartbeats have come by then, and
each tells when it was last read."""
LIVE = 2 * MICROSECONDS
"""µs up to which data counts as live: no age is counted up beside it."""


class Health(NamedTuple):
    """How a device is: shape and word, why, what to do next; the last two are empty when all is well."""

    shape: str
    word: str
    why: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a device: its report, µs UTC of its newest data, whether its edge is away."""

    device: Device
    edge: str
    machine: Machine | None
    newest: int
    away: bool
    now: int

    @property
    def age(self) -> int:
        """µs since its newest data."""
        return max(0, self.now - self.newest)


Check = Callable[[Seen, Speech], Health | None]


def _unknown(seen: Seen, say: Speech) -> Health | None:
    if seen.machine is not None:
        return None
    return Health(
        "✕",
        say("never heard of"),
        say("edge {edge} has not told of it", edge=seen.edge),
        say("see that edge {edge} runs with this site file", edge=seen.edge),
    )


def _edge_away(seen: Seen, say: Speech) -> Health | None:
    if not seen.away:
        return None
    return Health(
        "✕",
        say("no data"),
        say("edge {edge} is away", edge=seen.edge),
        say("see that the PC of edge {edge} is on and reaches the broker", edge=seen.edge),
    )


def _not_connected(seen: Seen, say: Speech) -> Health | None:
    machine = seen.machine
    if machine is None or machine.connected:
        return None
    return Health(
        "✕",
        say("not connected"),
        machine.detail or say("no reason given"),
        say(
            "check power and network, then at the edge: {command}",
            command=f"onelot driver probe {_plain(seen)}",
        ),
    )


def _another(seen: Seen, say: Speech) -> Health | None:
    machine = seen.machine
    if machine is None or not machine.differs or machine.firmware:
        return None
    return Health(
        "▲",
        say("another machine"),
        machine.differs,
        say("correct its address or profile in the site file: nothing is written until then"),
    )


def _firmware(seen: Seen, say: Speech) -> Health | None:
    machine = seen.machine
    if machine is None or not machine.firmware:
        return None
    return Health(
        "▲",
        say("read only"),
        say("firmware {firmware} is unknown to its profile", firmware=machine.firmware),
        say("check that its values are right, then accept it at its station (F10)"),
    )


def _lock(seen: Seen, say: Speech) -> Health | None:
    lock = seen.machine.lock if seen.machine is not None else None
    if lock is None:
        return None
    if lock.state == LockState.LOCKED:
        why = say("locked by {owner}: {reason}", owner=lock.owner, reason=lock.reason)
        return Health(
            "⊘", say("locked"), why, say("{owner} releases it at its station (F10)", owner=lock.owner)
        )
    why = say("released by {owner}", owner=lock.owner)
    return Health("⊘", say("to accept"), why, say("production accepts it at its station (F10)"))


def _old(seen: Seen, say: Speech) -> Health | None:
    if seen.age <= SILENT:
        return None
    command = f"onelot driver watch {_plain(seen)}"
    return Health(
        "◇",
        say("no new values"),
        say("connected, but nothing was read for {age}", age=ago(seen.age / MICROSECONDS)),
        say("see at the edge what fails: {command}", command=command),
    )


CHECKS: tuple[Check, ...] = (_edge_away, _unknown, _not_connected, _another, _firmware, _lock, _old)
"""In the order of what to mend first: the one below cannot be seen to before the one above."""


def health(seen: Seen, say: Speech) -> Health:
    """How a device is."""
    found = next((found for check in CHECKS if (found := check(seen, say)) is not None), None)
    return found or Health("●", say("connected"))


def _plain(seen: Seen) -> str:
    """The address without a password."""
    parts = urlsplit(seen.device.url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def devices(site: Site) -> list[tuple[Device, str]]:
    """All devices with their edge: those of workcells in plant order, then the others."""
    pairs = [(device, edge.id) for edge in site.edges for device in edge.devices]
    order = {cell: place for place, cell in enumerate(site.workcells())}
    last = len(order)
    return sorted(
        pairs, key=lambda pair: min((order.get(cell, last) for cell in pair[0].workcells), default=last)
    )


HEADS = ("Machine", "State", "Data", "Why", "What to do")


def name(site: Site, device: Device, say: Speech) -> str:
    """What people call a device: by its workcell where it stands there alone: that has two languages."""
    cells = site.workcells()
    if len(device.workcells) == 1 and (cell := cells.get(device.workcells[0])) is not None:
        there = [each for each in site.devices().values() if cell.id in each.workcells]
        if len(there) == 1 and (say.language == "zh" or not device.title):
            return say.title(cell)
    return device.title or device.id


def draw(
    site: Site,
    machines: Mapping[str, Machine],
    newest: Mapping[str, int],
    away: Sequence[str],
    now: int,
    say: Speech,
) -> str:
    """What is wrong as a table, then what is well in a few lines. ``newest`` is the µs UTC of the newest data
    since the service began.
    """
    rows, well = [], []
    for device, edge in devices(site):
        machine = machines.get(device.id)
        read = max(newest.get(device.id, 0), machine.last_read if machine is not None else 0)
        seen = Seen(device, edge, machine, read, edge in away, now)
        found, title = health(seen, say), name(site, device, say)
        if found.next:
            rows.append("".join(_row(seen, title, found, say)))
        else:
            well.append(_well(seen, title, found, say))
    heads = "".join(f"<th>{escape(say(head))}</th>" for head in HEADS)
    head = f"<thead><tr>{heads}</tr></thead>"
    table = f'<table class="list devices">{head}<tbody>{"".join(rows)}</tbody></table>' if rows else ""
    return f'{table}<div class="well">{"".join(well)}</div>'


def _well(seen: Seen, title: str, found: Health, say: Speech) -> str:
    """A device that needs nobody: its name, that it is connected, how old its data is."""
    device, words = escape(seen.device.id), f"{found.word} · {_age(seen, say)}"
    return (
        f'<div data-device="{device}" data-open="device:{device}" tabindex="0" role="button">'
        f"<span>{found.shape} {escape(title)}</span><small>{escape(words)}</small></div>"
    )


def _row(seen: Seen, title: str, found: Health, say: Speech) -> Iterator[str]:
    device = escape(seen.device.id)
    yield f'<tr class="abnormal" data-device="{device}" data-open="device:{device}" tabindex="0" '
    yield 'role="button">'
    cells = (title, f"{found.shape} {found.word}", _age(seen, say), found.why, found.next)
    yield "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    yield "</tr>"


def _age(seen: Seen, say: Speech) -> str:
    """How old its data is, in whole seconds: all this is sent again whenever it changes."""
    if not seen.newest:
        return say("never")
    seconds = seen.age // MICROSECONDS
    return say("live") if seen.age <= LIVE else ago(seconds) if seconds >= 10 else f"{seconds} s"

"""Which stations this edge's vehicles are sent to, and whether their signals are there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from drivers.profile.profile import AnyProfile, Effect
from protocols.documents import not_one_of
from protocols.site_graph import SiteGraph, Station, StationSignals
from protocols.values import DataType

Where = tuple[str, ...]


def served(graph: SiteGraph, devices: Collection[str]) -> tuple[str, ...]:
    """Workcells with a station whose signals, if it has any, this edge reads itself."""
    return tuple(cell for cell, station in graph.stations.items() if _in_reach(station, devices))


def numbered(graph: SiteGraph) -> set[str]:
    """Workcells that a vehicle behind tags can be sent to: their station has a number and no handshake, for
    which such a vehicle has no signals."""
    return {
        cell
        for cell, station in graph.stations.items()
        if station.number is not None and station.handshake == "none"
    }


def unfit_for_tags(graph: SiteGraph, others: Collection[str]) -> Iterator[tuple[Where, str]]:
    """What keeps vehicles behind tags from a station; ``others`` are vehicles that serve it all the same."""
    for cell, station in graph.stations.items():
        if others:
            return
        if station.number is None:
            yield ("stations", cell), "the vehicles of this edge know stations by number: give it number"
        if station.handshake != "none":
            message = "the vehicles of this edge have no signals for a handshake: none, and number"
            yield ("stations", cell, "handshake"), message


def _in_reach(station: Station, devices: Collection[str]) -> bool:
    signals = station.handshake
    return not isinstance(signals, StationSignals) or signals.device in devices


def unfit_handshakes(
    graph: SiteGraph, site: Collection[str], profiles: Mapping[str, AnyProfile]
) -> Iterator[tuple[Where, str]]:
    """Signals of stations that are not there: their place in the graph and what is wrong.

    ``site`` are all devices of the site, ``profiles`` those of this edge's devices.
    """
    for cell, station in graph.stations.items():
        signals = station.handshake
        if not isinstance(signals, StationSignals):
            continue
        where = ("stations", cell, "handshake")
        if signals.device not in site:
            yield (*where, "device"), f"device {not_one_of(signals.device, site)}"
        elif (profile := profiles.get(signals.device)) is not None:
            yield from _unfit_tags(where, signals, profile)


def _unfit_tags(where: Where, signals: StationSignals, profile: AnyProfile) -> Iterator[tuple[Where, str]]:
    for key in ("ready", "sensed", "release"):
        name: str | None = getattr(signals, key)
        if name is None:
            continue
        tag = profile.tags.get(name)
        if tag is None:
            yield (*where, key), f"tag {not_one_of(name, profile.tags)} of {signals.device}"
        elif tag.value_type is not DataType.BOOL:
            yield (*where, key), f'"{name}" of {signals.device} is a {tag.value_type}: a signal is a bool'
        elif not tag.readable:
            yield (*where, key), f'"{name}" of {signals.device} cannot be read: a signal is read (back)'
    if signals.release in profile.tags and (why := _unfit_release(signals.release, profile)):
        yield (*where, "release"), f'"{signals.release}" of {signals.device} {why}'


def _unfit_release(name: str, profile: AnyProfile) -> str | None:
    """Why the profile does not let the edge write a release by itself."""
    rule = profile.writes.get(name)
    if rule is None:
        return "is read-only: allow it under writes of its profile, or leave release out"
    if rule.effect is not Effect.PARAMETER:
        return f"is a {rule.effect}, which needs a person: a release starts nothing (effect: parameter)"
    if rule.two_people:
        return "needs two people, and a handshake has none"
    refused = [value for value in (True, False) if rule.refusal(value) is not None]
    return f"may not be written {str(refused[0]).lower()}: it is set and withdrawn" if refused else None

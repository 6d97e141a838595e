"""Which tags of a profile let a vehicle be sent, and what is missing when it cannot be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from drivers.profile import AnyProfile
from drivers.profile_tags import Role
from protocols.site_graph import SiteGraph
from protocols.values import Value

Where = tuple[str, ...]


_ROLES = (
    Role.MISSION,
    Role.MISSION_STATE,
    Role.MISSION_ORDER,
    Role.PICK_STATION,
    Role.DROP_STATION,
    Role.BATTERY,
)


class VehicleState(StrEnum):
    """The words that the enum of the tag with role ``mission_state`` is written in."""

    IDLE = "idle"
    UNDER_WAY = "under-way"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Roles:
    """The tags of one vehicle by what they mean.

    ``battery`` in percent, None where it tells none; ``words`` are those of the state's enum.
    """

    mission: str
    state: str
    order: str
    pick: str
    drop: str
    battery: str | None = None
    words: Mapping[int, str] = field(default_factory=dict)

    @property
    def read(self) -> tuple[str, ...]:
        """What is looked at."""
        return tuple(name for name in (self.mission, self.state, self.battery) if name is not None)

    def state_of(self, says: Mapping[str, Value]) -> VehicleState | None:
        """What it says of its order; None when it says nothing that is known."""
        value = says.get(self.state)
        word = self.words.get(value, "") if isinstance(value, int) else value
        return VehicleState(word) if word in tuple(VehicleState) else None


def roles(profile: AnyProfile) -> Roles | None:
    """A profile's tags, None when it is none of a vehicle that takes orders through tags."""
    mission, state, order, pick, drop, battery = (profile.tag_with(role) for role in _ROLES)
    if mission is None or state is None or order is None or pick is None or drop is None:
        return None
    return Roles(mission, state, order, pick, drop, battery, profile.tags[state].enum or {})


def unfit_stations(graph: SiteGraph, others: Sequence[str]) -> Iterator[tuple[Where, str]]:
    """What keeps vehicles behind tags from a station; ``others`` are vehicles that serve it all the same."""
    owner: dict[int, str] = {}
    for cell, station in graph.stations.items():
        if station.number is not None and station.number in owner:
            message = f"{station.number} is the number of {owner[station.number]} already"
            yield ("stations", cell, "number"), message
        elif station.number is not None:
            owner[station.number] = cell
        elif not others:
            yield ("stations", cell), "the vehicles of this edge know stations by number: give it number"
        if station.handshake != "none" and not others:
            message = "the vehicles of this edge have no signals for a handshake: none, and number"
            yield ("stations", cell, "handshake"), message

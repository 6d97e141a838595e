"""Missions: fetch for an operation at one workcell, bring to another. Pure.

A mission exists when an operation of this edge's job list may begin and a predecessor of it was done at
another workcell that has a station. It is on disk before a vehicle hears of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from edge.station.station_view import OperationView
from protocols.lifecycle import Lifecycle
from protocols.lifecycles import OperationState
from protocols.vda5050_lifecycles import OrderState
from protocols.vda5050_order import Given

MOST_OPEN = 500


class MissionState(StrEnum):
    """A mission from the moment it is known."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    """A carrier has it."""
    DONE = "done"
    FAILED = "failed"
    """A carrier gave it up; a person was called and looks where the load is."""
    DROPPED = "dropped"
    """Nobody needs it any more."""


class MissionEvent(StrEnum):
    TAKE = "take"
    FINISH = "finish"
    FAIL = "fail"
    RETURN = "return"
    DROP = "drop"


MISSION: Lifecycle[MissionState, MissionEvent] = Lifecycle(
    "mission",
    MissionState.WAITING,
    {
        (MissionState.WAITING, MissionEvent.TAKE): MissionState.UNDER_WAY,
        (MissionState.WAITING, MissionEvent.DROP): MissionState.DROPPED,
        (MissionState.UNDER_WAY, MissionEvent.FINISH): MissionState.DONE,
        (MissionState.UNDER_WAY, MissionEvent.FAIL): MissionState.FAILED,
        (MissionState.UNDER_WAY, MissionEvent.RETURN): MissionState.WAITING,
    },
)

ENDED = frozenset({MissionState.DONE, MissionState.FAILED, MissionState.DROPPED})


class Mission(msgspec.Struct, frozen=True):
    """One transport. ``device`` carries it; ``created`` in µs UTC."""

    id: str
    operation: str
    job: str
    pick: str
    drop: str
    created: int
    state: MissionState = MISSION.initial
    device: str = ""
    reason: str = ""

    def after(self, event: MissionEvent, *, device: str = "", reason: str = "") -> Mission:
        """The mission after an event; raises IllegalTransitionError."""
        state = MISSION.next(self.id, self.state, event)
        return msgspec.structs.replace(self, state=state, device=device, reason=reason)


class Order(msgspec.Struct, frozen=True):
    """What a vehicle was told last, as it is kept. ``mission`` is empty when it only drives home."""

    device: str
    mission: str
    given: Given


def wanted(
    queues: Iterable[Iterable[OperationView]], stations: Collection[str], now: int
) -> Iterator[Mission]:
    """Missions of the operations that stand in the queues of this edge's workcells and may begin."""
    for queue in queues:
        for entry in queue:
            if entry.waits_for or entry.state in (OperationState.FINISHED, OperationState.CANCELLED):
                continue
            operation = entry.operation
            sources = dict.fromkeys(p.workcell for p in operation.predecessors if p.workcell)
            for source in sources:
                if source != operation.workcell and source in stations and operation.workcell in stations:
                    name = f"{operation.id}<{source}"
                    yield Mission(name, operation.id, operation.job, source, operation.workcell, now)


def reconciled(
    missions: Mapping[str, Mission], orders: Iterable[Order], handing: Collection[str] = ()
) -> dict[str, Mission]:
    """Missions after a restart, as the orders say that were on disk before a vehicle heard of them.

    ``handing`` are those whose load was not released yet: the end of the order is not theirs.
    """
    given = {order.mission: order for order in orders if order.mission}
    return {
        name: _reconciled(mission, given.get(name), handing=name in handing)
        for name, mission in missions.items()
    }


def _reconciled(mission: Mission, order: Order | None, *, handing: bool) -> Mission:
    if mission.state in ENDED:
        return mission
    if order is None:  # what is not on disk was never sent
        under_way = mission.state is MissionState.UNDER_WAY
        return mission.after(MissionEvent.RETURN) if under_way else mission
    if mission.state is MissionState.WAITING and order.given.state is not OrderState.REJECTED:
        mission = mission.after(MissionEvent.TAKE, device=order.device)
    if not order.given.ended or mission.state is MissionState.WAITING:
        return mission
    if order.given.state is OrderState.FINISHED and handing:
        return mission
    if order.given.state is OrderState.FINISHED:
        return mission.after(MissionEvent.FINISH, device=order.device)
    return mission.after(MissionEvent.FAIL, device=order.device, reason=order.given.reason)

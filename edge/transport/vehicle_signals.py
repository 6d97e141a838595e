"""What a VDA 5050 vehicle's state says about a handshake. Pure.

Source: VDA 5050 2.1.0, 6.10 (lastNodeId, driving, loads, actionStates). ``loads`` may be left out: then the
vehicle's own pick and drop say what it has.
"""

from __future__ import annotations

from protocols.handshake import Handshake, Kind, Signals
from protocols.vda5050 import ActionStatus, State


def vehicle_signals(
    handshake: Handshake, state: State, node: str, order_id: str, *, digital: bool
) -> Signals:
    """Docked and loaded; where the station tells nothing, what it must have by the vehicle's action, too.

    Args:
        node: of the station.
        order_id: of the vehicle's order for this mission; empty when it has none.
        digital: vehicle and station have signals of their own.
    """
    docked: bool | None = state.last_node_id == node
    if docked and state.driving:
        docked = None  # on its way out, or through
    done = {kind: bool(order_id) and _finished(state, f"{order_id}:{kind}") for kind in Kind}
    return Signals(
        docked=docked,
        vehicle=_loaded(state, done[Kind.PICK], done[Kind.DROP]),
        station=_station(handshake.kind, done[handshake.kind]) if digital else None,
    )


def _finished(state: State, action_id: str) -> bool | None:
    """Whether an action is done; one that the vehicle has not heard of yet is not. None when it failed."""
    found = state.action(action_id)
    if found is not None and found.action_status is ActionStatus.FAILED:
        return None
    return found is not None and found.action_status is ActionStatus.FINISHED


def _loaded(state: State, picked: bool | None, dropped: bool | None) -> bool | None:
    if isinstance(state.loads, tuple):
        return bool(state.loads)
    return False if dropped else picked


def _station(kind: Kind, done: bool | None) -> bool | None:
    """Before its action a pick's load is at the station, after a drop it is."""
    if done is None:
        return None
    return done if kind is Kind.DROP else not done

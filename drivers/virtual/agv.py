"""A virtual AGV that obeys VDA 5050 orders: pure, messages and time in, messages out.

It drives straight from node to node, does the actions of a node one after the other, stops at the end of the
base, stops at its next node when an order is cancelled, uses battery and charges when it has nothing to do.
Source of what it must answer: VDA 5050 2.1.0, 6.6 (orders), 6.8 (instant actions), 6.10 (state). Errors can
be made on demand: :attr:`VirtualAgv.fail_next`, :attr:`VirtualAgv.troubles`, :attr:`VirtualAgv.e_stop`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import UNSET
from msgspec.structs import replace

from drivers.virtual.factsheet import factsheet
from protocols.vda5050 import (
    VERSION,
    Action,
    ActionState,
    ActionStatus,
    AgvPosition,
    BatteryState,
    Connection,
    ConnectionState,
    Edge,
    EdgeState,
    Error,
    ErrorReference,
    EStop,
    InstantActions,
    Level,
    Load,
    Node,
    NodeState,
    NotAMessageError,
    OperatingMode,
    Order,
    SafetyState,
    State,
    Velocity,
    Visualization,
    decode,
    encode,
)
from protocols.vda5050_order import disorder
from protocols.vda5050_sending import Headers, Send
from protocols.vda5050_topics import Topic, VehicleId

STATE_EVERY = 5.0
"""Seconds between two states when nothing changes; the standard asks for 30 at most."""
SHOW_EVERY = 0.5
"""Seconds between two visualizations."""
ACTIONS = ("pick", "drop", "startCharging", "stopCharging")
INSTANT_ACTIONS = ("cancelOrder", "startPause", "stopPause", "stateRequest", "factsheetRequest")
NEAR = 1.0
"""Metres from its first node within which a new order is taken (6.6.1)."""
KNOWN_INSTANTS = 200
"""Instant actions that are remembered, so that one that comes twice has no second effect."""
MAX_TROUBLES = 50


@dataclass(slots=True)
class VirtualAgv:
    """One vehicle, standing at a node.

    Args:
        vehicle: who it is.
        node: the node it stands at, with ``x`` and ``y`` (m) on ``map_id``.
        speed: m/s; an edge's own limit counts too.
        action_seconds: how long a pick or drop takes.
        hurry: how much faster than real time it lives.
    """

    vehicle: VehicleId
    node: str = ""
    x: float = 0.0
    y: float = 0.0
    map_id: str = "map"
    speed: float = 1.2
    action_seconds: float = 4.0
    hurry: float = 1.0
    version: str = VERSION
    theta: float = 0.0
    battery: float = 90.0
    mode: OperatingMode = OperatingMode.AUTOMATIC
    e_stop: EStop = EStop.NONE
    paused: bool = False
    load: str = ""
    fail_next: bool = False
    """The next action of an order fails."""
    troubles: list[Error] = field(default_factory=list)
    """What is wrong with it at the moment, on demand."""
    order_id: str = field(default="", init=False)
    update_id: int = field(default=0, init=False)
    metres: float = field(default=0.0, init=False)
    _sequence: int = field(default=0, init=False)
    _nodes: list[Node] = field(default_factory=list, init=False)
    """Nodes not reached yet, in order; edges lead to each of them."""
    _edges: list[Edge] = field(default_factory=list, init=False)
    _end: tuple[str, int] = field(default=("", 0), init=False)
    """Last node of the base."""
    _actions: dict[str, ActionState] = field(default_factory=dict, init=False)
    _todo: deque[Action] = field(default_factory=deque, init=False)
    _left: float = field(default=0.0, init=False)
    _instants: dict[str, ActionState] = field(default_factory=dict, init=False)
    _cancel: str = field(default="", init=False)
    _refusals: list[Error] = field(default_factory=list, init=False)
    _driving: bool = field(default=False, init=False)
    _headers: Headers = field(init=False)
    _changed: bool = field(default=False, init=False)
    _state_in: float = field(default=0.0, init=False)
    _show_in: float = field(default=0.0, init=False)
    _out: list[Send] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._headers = Headers(self.vehicle)

    # --- messages out -----------------------------------------------------------------------------------

    def connection(self, state: ConnectionState, now: int) -> Send:
        """Its connection message; for CONNECTIONBROKEN, the last will."""
        return Send(
            Topic.CONNECTION,
            encode(
                Connection(**self._headers.next(Topic.CONNECTION, now, self.version), connection_state=state)
            ),
        )

    def state(self, now: int) -> State:
        """What it says it does."""
        return State(
            **self._headers.next(Topic.STATE, now, self.version),
            order_id=self.order_id,
            order_update_id=self.update_id,
            last_node_id=self.node,
            last_node_sequence_id=self._sequence,
            node_states=tuple(
                NodeState(
                    node_id=n.node_id,
                    sequence_id=n.sequence_id,
                    released=n.released,
                    node_position=n.node_position,
                )
                for n in self._nodes
            ),
            edge_states=tuple(
                EdgeState(edge_id=e.edge_id, sequence_id=e.sequence_id, released=e.released)
                for e in self._edges
            ),
            driving=self._driving,
            paused=self.paused,
            new_base_request=bool(self._nodes) and not self._nodes[0].released,
            action_states=(*self._instants.values(), *self._actions.values()),
            battery_state=BatteryState(
                battery_charge=round(self.battery, 1), charging=self.charging, battery_voltage=48.0
            ),
            operating_mode=self.mode,
            errors=(*self._refusals, *self.troubles[:MAX_TROUBLES]),
            safety_state=SafetyState(e_stop=self.e_stop, field_violation=False),
            agv_position=self._position(),
            velocity=self._velocity(),
            loads=(Load(load_id=self.load),) if self.load else (),
        )

    @property
    def charging(self) -> bool:
        return not self._busy and self.battery < 99.9

    @property
    def _busy(self) -> bool:
        return bool(self._nodes or self._edges or self._todo)

    def business_at(self, node: str) -> str:
        """Whether it is going to ``pick`` or ``drop`` at a node, or does so now; empty for neither."""
        ahead = [action for each in self._nodes if each.node_id == node for action in each.actions]
        here = list(self._todo) if self.node == node else []
        return next((a.action_type for a in (*here, *ahead) if a.action_type in ("pick", "drop")), "")

    def _position(self) -> AgvPosition:
        return AgvPosition(
            x=round(self.x, 3),
            y=round(self.y, 3),
            theta=round(self.theta, 4),
            map_id=self.map_id,
            position_initialized=True,
        )

    def _velocity(self) -> Velocity:
        return Velocity(vx=self.speed if self._driving else 0.0, vy=0.0, omega=0.0)

    def factsheet(self, now: int) -> Send:
        """What it is (6.13)."""
        header = self._headers.next(Topic.FACTSHEET, now, self.version)
        return Send(Topic.FACTSHEET, factsheet(header, self.speed, ACTIONS, INSTANT_ACTIONS))

    # --- messages in ------------------------------------------------------------------------------------

    def receive(self, topic: Topic, payload: bytes, now: int) -> list[Send]:
        """Take an order or instant actions; what cannot be read becomes an error in its state."""
        try:
            if topic is Topic.ORDER:
                self._take_order(decode(Order, payload))
            elif topic is Topic.INSTANT_ACTIONS:
                for action in decode(InstantActions, payload).all:
                    self._take_instant(action, now)
        except NotAMessageError as error:
            self._refuse("validationError", str(error)[:200], {"topic": str(topic)})
        self._changed = True
        return self._tell(now)

    def _take_order(self, order: Order) -> None:
        about = {
            "topic": "order",
            "headerId": str(order.header_id),
            "orderId": order.order_id,
            "orderUpdateId": str(order.order_update_id),
        }
        if (wrong := disorder(order)) is not None:
            self._refuse("validationError", wrong, about)
        elif self._cancel:
            self._refuse("orderError", "an order is being cancelled", about)
        elif not self.mode.takes_orders:
            self._refuse("orderError", f"the operating mode is {self.mode}", about)
        elif order.order_id == self.order_id:
            self._take_update(order, about)
        elif self._busy:
            self._refuse("orderError", f"order {self.order_id} is active", about)
        elif not self._stands_near(order.nodes[0]):
            self._refuse("noRouteError", f"node {order.nodes[0].node_id} is not where it stands", about)
        elif unknown := [a for n in order.nodes for a in n.actions if a.action_type not in ACTIONS]:
            self._refuse("orderError", f'action "{unknown[0].action_type}" is not known', about)
        else:
            self._accept(order)

    def _accept(self, order: Order) -> None:
        self.order_id, self.update_id = order.order_id, order.order_update_id
        self._refusals, self._actions = [], {}
        self._nodes, self._edges = list(order.nodes), list(order.edges)
        self._note_base(order)
        self._learn(order.nodes)
        self._reach(self._nodes.pop(0))

    def _take_update(self, order: Order, about: dict[str, str]) -> None:
        if order.order_update_id == self.update_id:
            return  # the same again
        if order.order_update_id < self.update_id:
            self._refuse("orderUpdateError", f"update {self.update_id} is already here", about)
        elif (order.nodes[0].node_id, order.nodes[0].sequence_id) != self._end:
            self._refuse("orderUpdateError", f"the base ends at {self._end[0]}", about)
        elif not self._busy and not self._stands_near(order.nodes[0]):
            self._refuse("orderUpdateError", "the order was given up", about)
        else:
            self.update_id = order.order_update_id
            self._refusals = []
            first = order.nodes[0]
            self._nodes = [n for n in self._nodes if n.released]
            self._edges = [e for e in self._edges if e.released]
            fresh = [a for a in first.actions if a.action_id not in self._actions]
            if self._nodes:
                last = self._nodes[-1]
                self._nodes[-1] = replace(last, actions=(*last.actions, *fresh))
            else:
                self._todo.extend(fresh)
            self._nodes += order.nodes[1:]
            self._edges += order.edges
            self._note_base(order)
            self._learn((replace(first, actions=tuple(fresh)), *order.nodes[1:]))

    def _note_base(self, order: Order) -> None:
        last = [node for node in order.nodes if node.released][-1]
        self._end = (last.node_id, last.sequence_id)

    def _learn(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            for action in node.actions:
                if node.released and action.action_id not in self._actions:
                    self._set(action, ActionStatus.WAITING)

    def _set(self, action: Action, status: ActionStatus, result: str = "") -> None:
        self._actions[action.action_id] = ActionState(
            action_id=action.action_id,
            action_type=action.action_type,
            action_status=status,
            result_description=result or UNSET,
        )
        self._changed = True

    def _stands_near(self, node: Node) -> bool:
        if node.node_id == self.node and not self._driving:
            return True
        spot = node.node_position
        return spot is not UNSET and math.hypot(spot.x - self.x, spot.y - self.y) <= NEAR

    def _take_instant(self, action: Action, now: int) -> None:
        if action.action_id in self._instants:
            return
        status, result = ActionStatus.FINISHED, ""
        match action.action_type:
            case "startPause":
                self.paused = True
            case "stopPause":
                self.paused = False
            case "stateRequest":
                pass
            case "factsheetRequest":
                self._out.append(self.factsheet(now))
            case "cancelOrder" if self._busy and not self._cancel:
                self._cancel, status = action.action_id, ActionStatus.RUNNING
            case "cancelOrder":
                status, result = ActionStatus.FAILED, "there is no order to cancel"
                self._refuse("noOrderToCancel", result, {"actionId": action.action_id})
            case other:
                status, result = ActionStatus.FAILED, f'"{other[:40]}" is not known'
                self._refuse("instantActionError", result, {"actionId": action.action_id})
        while len(self._instants) >= KNOWN_INSTANTS:
            del self._instants[next(iter(self._instants))]
        self._instants[action.action_id] = ActionState(
            action_id=action.action_id,
            action_type=action.action_type,
            action_status=status,
            result_description=result or UNSET,
        )
        if self._cancel and not self._driving:
            self._give_up()

    def _refuse(self, kind: str, text: str, about: dict[str, str]) -> None:
        references = tuple(ErrorReference(reference_key=k, reference_value=v[:256]) for k, v in about.items())
        self._refusals = [
            *self._refusals[-9:],
            Error(
                error_type=kind,
                error_level=Level.WARNING,
                error_description=text,
                error_references=references,
            ),
        ]

    # --- time -------------------------------------------------------------------------------------------

    def advance(self, seconds: float, now: int) -> list[Send]:
        """Live for ``seconds`` of real time; says what is due."""
        rest = seconds * self.hurry
        if self.paused or self.e_stop is not EStop.NONE or not self.mode.takes_orders:
            self._drive(False)
        else:
            while rest > 1e-9 and self._busy and self.battery > 0:
                rest = self._do(rest)
                if rest < 0:
                    break
        if self.charging:
            self.battery = min(100.0, self.battery + seconds * self.hurry / 36)
        self._state_in -= seconds
        self._show_in -= seconds
        return self._tell(now)

    def _do(self, seconds: float) -> float:
        """Do the next thing; gives the seconds left, or -1 when there is nothing to do but wait."""
        if self._todo:
            return self._work(seconds)
        if self._cancel:
            self._give_up()
            return seconds
        if not self._nodes or not self._nodes[0].released:
            self._drive(False)
            return -1.0
        return self._roll(seconds)

    def _work(self, seconds: float) -> float:
        action = self._todo[0]
        status = self._actions[action.action_id].action_status
        if status is ActionStatus.WAITING:
            self._set(action, ActionStatus.RUNNING)
            self._left = self.action_seconds
        if self._left > seconds:
            self._left -= seconds
            return -1.0
        seconds -= self._left
        self._todo.popleft()
        if self.fail_next:
            self.fail_next = False
            self._set(action, ActionStatus.FAILED, "made to fail")
            self._refuse("orderError", f"{action.action_type} failed", {"actionId": action.action_id})
        else:
            if action.action_type == "pick":
                self.load = str(action.parameter("loadId") or "load")[:256]
            elif action.action_type == "drop":
                self.load = ""
            self._set(action, ActionStatus.FINISHED)
        return seconds

    def _roll(self, seconds: float) -> float:
        target, edge = self._nodes[0], self._edges[0]
        spot = target.node_position
        self._drive(True)
        top = self.speed if edge.max_speed is UNSET else min(self.speed, max(edge.max_speed, 0.05))
        if spot is UNSET:
            self._reach(self._nodes.pop(0), self._edges.pop(0))
            return seconds
        gap = math.hypot(spot.x - self.x, spot.y - self.y)
        if gap > 1e-9:
            self.theta = math.atan2(spot.y - self.y, spot.x - self.x)
        if gap > top * seconds:
            share = top * seconds / gap
            self.x += (spot.x - self.x) * share
            self.y += (spot.y - self.y) * share
            self._count(top * seconds)
            return -1.0
        self.x, self.y, self.map_id = spot.x, spot.y, spot.map_id
        self._count(gap)
        self._reach(self._nodes.pop(0), self._edges.pop(0))
        return seconds - gap / top

    def _count(self, metres: float) -> None:
        self.metres += metres
        self.battery = max(0.0, self.battery - 0.005 * metres)

    def _reach(self, node: Node, edge: Edge | None = None) -> None:
        self.node, self._sequence = node.node_id, node.sequence_id
        self._todo.extend(node.actions)
        if self._todo or self._cancel or not self._nodes or not self._nodes[0].released:
            self._drive(False)
        self._changed = True

    def _drive(self, driving: bool) -> None:
        if driving is not self._driving:
            self._driving, self._changed = driving, True

    def _give_up(self) -> None:
        """Cancel: what was not done fails, what was not reached is forgotten (6.6.3)."""
        self._nodes, self._edges = [], []
        self._todo.clear()
        for each in list(self._actions.values()):
            if not each.action_status.ended:
                self._actions[each.action_id] = replace(each, action_status=ActionStatus.FAILED)
        done = self._instants[self._cancel]
        self._instants[self._cancel] = replace(done, action_status=ActionStatus.FINISHED)
        self._cancel, self._changed = "", True
        self._drive(False)

    def _tell(self, now: int) -> list[Send]:
        if self._changed or self._state_in <= 0:
            self._changed, self._state_in = False, STATE_EVERY
            self._out.append(Send(Topic.STATE, encode(self.state(now))))
        if self._show_in <= 0:
            self._show_in = SHOW_EVERY
            shown = Visualization(
                **self._headers.next(Topic.VISUALIZATION, now, self.version),
                agv_position=self._position(),
                velocity=self._velocity(),
            )
            self._out.append(Send(Topic.VISUALIZATION, encode(shown)))
        out, self._out = self._out, []
        return out

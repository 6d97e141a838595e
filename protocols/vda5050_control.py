"""Master control for one VDA 5050 vehicle: sans-IO. Messages and time go in, outputs come out.

Source: VDA 5050 2.1.0, chapter 6. One order at a time. An order or update is sent again, the same, until the
vehicle's state shows it; one update is on its way at a time. An instant action is sent again until the
vehicle's state shows its id, and never after that. A cancelled order is over when the vehicle says FINISHED
of ``cancelOrder``: until then nothing else is given to it. What the vehicle did not confirm in time has a
state of its own, and a late confirmation is taken.

Wishes that cannot be (another order is active, the vehicle is not alive) raise :class:`NotNowError`; what a
vehicle sends never raises. Times are µs UTC of a clock that does not go back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from protocols.values import MICROSECONDS
from protocols.vda5050 import (
    VERSION,
    Action,
    ActionStatus,
    Connection,
    ConnectionState,
    Error,
    Factsheet,
    InstantActions,
    Order,
    State,
    encode,
    micros,
)
from protocols.vda5050_instants import Instant, Instants, instant_action
from protocols.vda5050_lifecycles import (
    ORDER,
    PRESENCE,
    InstantState,
    OrderEvent,
    OrderState,
    Presence,
    PresenceEvent,
)
from protocols.vda5050_order import Given, Stop, Way
from protocols.vda5050_sending import Headers, Send, Timing
from protocols.vda5050_topics import Topic, VehicleId

MAX_PENDING = 32
"""Instant actions that wait for an answer at the same time."""
MAX_CANCELS = 5
"""Times that a vehicle may refuse to cancel an order that it has."""
PACE = 4
"""An update that was sent often enough is sent again so many times less often: the vehicle waits for it."""

REJECTIONS = ("orderError", "orderUpdateError", "validationError", "noRouteError", "order")
"""Beginnings of error types that, together with an order's id, refuse it (2.1.0, 6.6.4.3 and table 8)."""


class NotNowError(RuntimeError):
    """A wish that the vehicle's state does not allow now; says why."""


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """Keep this on disk before what comes after it is sent."""

    order: Given


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    presence: Presence
    reason: str


@dataclass(frozen=True, slots=True)
class InstantChanged:
    instant: Instant


Output = Send | OrderChanged | PresenceChanged | InstantChanged


class _Place(NamedTuple):
    header_id: int
    time: int


@dataclass(slots=True)
class MasterControl:
    """What one vehicle is told, and what is known of it.

    Args:
        vehicle: whose it is.
        new_id: makes ids of instant actions that were never used before.
        timing: how long and how often.
    """

    vehicle: VehicleId
    new_id: Callable[[], str]
    timing: Timing = field(default_factory=Timing)
    state: State | None = field(default=None, init=False)
    """The newest state of the vehicle."""
    factsheet: Factsheet | None = field(default=None, init=False)
    connection: ConnectionState | None = field(default=None, init=False)
    presence: Presence = field(default=PRESENCE.initial, init=False)
    order: Given | None = field(default=None, init=False)
    _instants: Instants = field(init=False)
    _headers: Headers = field(init=False)
    _seen: _Place | None = field(default=None, init=False)
    _seen_at: int | None = field(default=None, init=False)
    _due: int = field(default=0, init=False)
    _tries: int = field(default=0, init=False)
    _out: list[Output] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._instants, self._headers = Instants(self.timing), Headers(self.vehicle)

    @property
    def version(self) -> str:
        """What our messages say they are: 2.1.0, but to a 2.0.x vehicle its own version. What we send is the
        same in both, and some vehicles refuse every other version than theirs."""
        spoken = "" if self.state is None else self.state.version
        return spoken if spoken.startswith("2.0.") and len(spoken) < 16 else VERSION

    # --- wishes -----------------------------------------------------------------------------------------

    def give(
        self, order_id: str, stops: Sequence[Stop], ways: Sequence[Way], released: int, now: int
    ) -> list[Output]:
        """Give a new order whose first ``released`` stops are its base.

        Raises:
            NotNowError: another order is active, or the vehicle takes none now.
            ValueError: stops and ways do not alternate, or nothing is released.
        """
        if (reason := self.why_not()) is not None:
            raise NotNowError(f"{self.vehicle}: {reason}")
        self._keep(Given(order_id, tuple(stops), tuple(ways), released, released))
        self._send_order(now, first=True)
        return self._taken()

    def why_not(self) -> str | None:
        """Why no order can be given now; None when one can."""
        if self.order is not None and not self.order.ended:
            return f"order {self.order.order_id} is {self.order.state}"
        if self.presence is not Presence.ALIVE or self.state is None:
            return f"it is {self.presence}"
        if not self.state.operating_mode.takes_orders:
            return f"its operating mode is {self.state.operating_mode}"
        if not self.state.is_idle:
            return f"it works on order {self.state.order_id}, which is not ours"
        return None

    def release(self, stops: int, now: int) -> list[Output]:
        """Take the first ``stops`` of the order into its base; fewer than before changes nothing.

        Raises:
            NotNowError: there is no order that could go on.
        """
        order = self._open_order("released")
        if stops > order.released:
            self._keep(msgspec.structs.replace(order, released=min(stops, len(order.stops))))
            self._advance(now)
        return self._taken()

    def reroute(self, stops: Sequence[Stop], ways: Sequence[Way], now: int) -> list[Output]:
        """Another way beyond the base.

        Raises:
            NotNowError: there is no order that could go on, or an update is on its way.
        """
        order = self._open_order("rerouted")
        if order.pending:
            raise NotNowError(f"{self.vehicle}: update {order.update_id} is on its way")
        self._keep(order.with_horizon(stops, ways))
        return self._taken()

    def cancel(self, now: int) -> list[Output]:
        """Cancel the order. Twice is once.

        Raises:
            NotNowError: there is no order to cancel.
        """
        order = self.order
        if order is None or order.ended:
            raise NotNowError(f"{self.vehicle}: no order is active")
        if order.state is not OrderState.CANCELLING:
            self._begin_cancel(OrderEvent.CANCEL, now)
        return self._taken()

    def act(self, action_type: str, now: int) -> list[Output]:
        """Send an instant action without parameters, such as startPause, stopPause, stateRequest.

        Raises:
            NotNowError: too many wait for an answer.
        """
        if len(self.pending) >= MAX_PENDING:
            raise NotNowError(f"{self.vehicle}: {MAX_PENDING} instant actions wait for an answer")
        self._begin(instant_action(action_type, self.new_id()), now)
        return self._taken()

    def restore(self, order: Given, now: int) -> list[Output]:
        """Take up what was kept before a restart."""
        self.order = order
        if order.state is OrderState.CANCELLING and order.cancel_id:
            self._begin(instant_action("cancelOrder", order.cancel_id), now)
        elif order.state is OrderState.CANCELLING:
            self._ask_to_cancel(now)
        elif order.pending and not order.ended:
            self._tries, self._due = 0, now
        return self._taken()

    # --- what the vehicle says --------------------------------------------------------------------------

    def connected(self, message: Connection, now: int) -> list[Output]:
        """A connection message. ONLINE is no sign of life; a vehicle that comes anew counts from anew."""
        self.connection = message.connection_state
        if message.connection_state is ConnectionState.ONLINE:
            self._seen = None
        elif message.connection_state is ConnectionState.OFFLINE:
            self._present(PresenceEvent.GOODBYE, "it logged off")
        else:
            self._present(PresenceEvent.WILL, "the broker lost its connection")
        return self._taken()

    def says(self, state: State, now: int) -> list[Output]:
        """A state message. Doubles and late ones are passed over."""
        if not self._is_new(state, now):
            return self._taken()
        self.state, self._seen_at = state, now
        self._present(PresenceEvent.STATE, "")
        self._out += map(InstantChanged, self._instants.follow(state, now))
        self._follow_order(state, now)
        self._advance(now)
        return self._taken()

    def describes(self, factsheet: Factsheet, now: int) -> list[Output]:
        """A factsheet."""
        self.factsheet = factsheet
        self._out += map(InstantChanged, self._instants.finish("factsheetRequest"))
        return self._taken()

    def tick(self, now: int) -> list[Output]:
        """Time passes: call it a few times a second."""
        if self._seen_at is None:
            self._seen_at = now
        if now - self._seen_at > self.timing.silence * MICROSECONDS and self.presence in (
            Presence.ALIVE,
            Presence.UNKNOWN,
        ):
            self._present(PresenceEvent.TIMEOUT, f"no state for {self.timing.silence:g} s")
        self._tick_instants(now)
        order = self.order
        if order is not None and order.pending and now >= self._due:
            if order.state is OrderState.ACTIVE or (
                order.state is OrderState.OFFERED and self._tries < self.timing.tries
            ):
                self._send_order(now)
            elif order.state is OrderState.OFFERED:
                self._turn(OrderEvent.EXPIRE, f"sent {self._tries} times and never echoed")
        return self._taken()

    # --- the order --------------------------------------------------------------------------------------

    def _follow_order(self, state: State, now: int) -> None:
        order = self.order
        if order is None:
            return
        ours = state.order_id == order.order_id
        if order.state is OrderState.CANCELLED:
            if ours and not state.is_idle:  # its message was delayed and overtaken by cancelOrder
                self._begin_cancel(OrderEvent.ACCEPT, now)
            return
        if order.ended:
            return
        if ours:
            self._note(state)
        elif order.state in (OrderState.ACTIVE, OrderState.HELD):
            other = f"works on {state.order_id}" if state.order_id else "knows no order any more"
            self._turn(OrderEvent.FAIL, f"the vehicle {other}: was it restarted?")
            return
        if order.state in (OrderState.CANCELLING, OrderState.UNCONFIRMED):
            self._follow_cancel(state, now)
        else:
            self._look_for_rejection(state)
            if ours:
                self._look_for_end(state)

    def _note(self, state: State) -> None:
        """What of the order the vehicle has, and how far it is."""
        order = self._must()
        if order.state in (OrderState.OFFERED, OrderState.UNANSWERED):
            self._turn(OrderEvent.ACCEPT, "")
            order = self._must()
        if state.order_update_id == order.update_id and order.pending:
            self._keep(msgspec.structs.replace(order, confirmed=order.update_id))
            if order.state is OrderState.HELD:
                self._turn(OrderEvent.ACCEPT, "")
            order = self._must()
        passed = min(state.last_node_sequence_id // 2 + 1, order.base)
        stands = order.stops[passed - 1].node_id == state.last_node_id
        if stands and passed > order.passed:
            self._keep(msgspec.structs.replace(order, passed=passed))

    def _look_for_rejection(self, state: State) -> None:
        order = self._must()
        if not order.pending or order.state is OrderState.HELD:
            return
        for error in state.errors:
            if _refuses(error, order):
                self._turn(OrderEvent.REJECT, error.text)
                return

    def _look_for_end(self, state: State) -> None:
        order = self._must()
        if order.pending or order.state not in (OrderState.ACTIVE, OrderState.HELD) or not state.is_idle:
            return
        states = {a.action_id: state.action(a.action_id) for a in order.actions}
        if any(known is not None and not known.action_status.ended for known in states.values()):
            return
        failed = [
            known.action_type or known.action_id
            for known in states.values()
            if known is not None and known.action_status is ActionStatus.FAILED
        ]
        at_base_end = state.last_node_sequence_id == 2 * (order.base - 1)
        if at_base_end and order.complete:
            if failed:
                said = next((error.text for error in state.errors), "no reason given")
                self._turn(OrderEvent.FAIL, f"{', '.join(map(str, failed))} failed ({said})")
            elif all(known is not None for known in states.values()):
                self._turn(OrderEvent.FINISH, "")
        elif not at_base_end:
            self._turn(OrderEvent.FAIL, f"the vehicle gave it up at {state.last_node_id}")

    def _follow_cancel(self, state: State, now: int) -> None:
        order = self._must()
        known = state.action(order.cancel_id)
        if known is None or not known.action_status.ended:
            return
        if known.action_status is ActionStatus.FINISHED:
            self._turn(OrderEvent.CONFIRM, "")
        elif state.is_idle or state.order_id != order.order_id:
            at_end = order.complete and state.last_node_sequence_id == 2 * (len(order.stops) - 1)
            done = all(
                (found := state.action(a.action_id)) is not None
                and found.action_status is ActionStatus.FINISHED
                for a in order.actions
            )
            if state.order_id == order.order_id and at_end and done:
                self._turn(OrderEvent.FINISH, "it was through before it could be cancelled")
            else:
                self._turn(OrderEvent.CONFIRM, "the vehicle had no order to cancel")
        elif order.state is OrderState.CANCELLING and order.cancels < MAX_CANCELS:
            self._ask_to_cancel(now)  # the order arrived after its own cancelOrder
        elif order.state is OrderState.CANCELLING:
            said = next((error.text for error in state.errors), "no reason given")
            self._turn(OrderEvent.EXPIRE, f"the vehicle refuses to cancel ({said})")

    def _begin_cancel(self, event: OrderEvent, now: int) -> None:
        self._turn(event, "")
        self._ask_to_cancel(now)

    def _ask_to_cancel(self, now: int) -> None:
        order = self._must()
        action = instant_action("cancelOrder", self.new_id())
        self._keep(msgspec.structs.replace(order, cancel_id=action.action_id, cancels=order.cancels + 1))
        self._begin(action, now)

    def _advance(self, now: int) -> None:
        """Send the next update when it may be sent."""
        if self.order is not None and (update := self.order.next_update()) is not None:
            self._keep(update)
            self._send_order(now, first=True)

    def _send_order(self, now: int, *, first: bool = False) -> None:
        order = self._must()
        self._tries = 1 if first else self._tries + 1
        wait = self.timing.resend * (PACE if self._tries > self.timing.tries else 1)
        self._due = now + round(wait * MICROSECONDS)
        nodes, edges = order.message_parts()
        message = Order(
            **self._headers.next(Topic.ORDER, now, self.version),
            order_id=order.order_id,
            order_update_id=order.update_id,
            nodes=nodes,
            edges=edges,
        )
        self._out.append(Send(Topic.ORDER, encode(message)))

    def _turn(self, event: OrderEvent, reason: str) -> None:
        order = self._must()
        after = ORDER.next(order.order_id, order.state, event)
        self._keep(msgspec.structs.replace(order, state=after, reason=reason))

    def _keep(self, order: Given) -> None:
        self.order = order
        self._out.append(OrderChanged(order))

    def _must(self) -> Given:
        if self.order is None:
            raise NotNowError(f"{self.vehicle}: no order is active")
        return self.order

    def _open_order(self, wish: str) -> Given:
        order = self._must()
        if order.state not in (OrderState.OFFERED, OrderState.ACTIVE):
            raise NotNowError(f"{self.vehicle}: order {order.order_id} is {order.state} and cannot be {wish}")
        return order

    # --- instant actions --------------------------------------------------------------------------------

    @property
    def pending(self) -> dict[str, Instant]:
        """Instant actions that wait for an answer, by id, in the order in which they were begun."""
        return self._instants.pending

    def _begin(self, action: Action, now: int) -> None:
        self._instants.begin(action, now)
        self._send_instant(action, now)

    def _send_instant(self, action: Action, now: int) -> None:
        message = InstantActions(
            **self._headers.next(Topic.INSTANT_ACTIONS, now, self.version),
            actions=(action,),
            instant_actions=UNSET if self.version == VERSION else (action,),
        )
        self._out.append(Send(Topic.INSTANT_ACTIONS, encode(message)))

    def _tick_instants(self, now: int) -> None:
        for instant in self._instants.due(now):
            if instant.state is InstantState.SENT:
                self._send_instant(instant.action, now)
                continue
            self._out.append(InstantChanged(instant))
            order = self.order
            cancelling = order is not None and order.state is OrderState.CANCELLING
            if cancelling and order is not None and order.cancel_id == instant.action.action_id:
                self._turn(OrderEvent.EXPIRE, instant.result)

    # --- presence ---------------------------------------------------------------------------------------

    def _present(self, event: PresenceEvent, reason: str) -> None:
        after = PRESENCE.next(str(self.vehicle), self.presence, event)
        if after is not self.presence:
            self.presence = after
            self._out.append(PresenceChanged(after, reason))

    def _is_new(self, state: State, now: int) -> bool:
        """Whether a state is newer than the last one. A vehicle that starts anew counts from 0 again: then
        its time has gone on, or it has said ONLINE, or nothing came for long."""
        place = _Place(state.header_id, micros(state.timestamp) or 0)
        last, self_seen_at = self._seen, self._seen_at
        silent = self_seen_at is not None and now - self_seen_at > self.timing.silence * MICROSECONDS
        if last is not None and not silent and place.header_id <= last.header_id and place.time <= last.time:
            return False
        self._seen = place
        return True

    def _taken(self) -> list[Output]:
        out, self._out = self._out, []
        return out


def _refuses(error: Error, order: Given) -> bool:
    """Whether an error refuses the last update of an order (its only one, where no update id is given)."""
    if error.refers("orderId") != order.order_id or not error.error_type.startswith(REJECTIONS):
        return False
    update = error.refers("orderUpdateId")
    return update == str(order.update_id) or (update is None and order.confirmed is None)

"""Lifecycles of what master control has with a vehicle: its presence, an order, an instant action."""

from __future__ import annotations

from enum import StrEnum

from protocols.lifecycle import Lifecycle


class Presence(StrEnum):
    """What is known of a vehicle. Only states show that it lives: ``ONLINE`` says that it has a session."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    SILENT = "silent"
    """Its states stopped, whatever its connection topic says."""
    BROKEN = "broken"
    """Its last will came: the broker lost it."""
    OFFLINE = "offline"
    """It logged off."""


class PresenceEvent(StrEnum):
    STATE = "state"
    TIMEOUT = "timeout"
    WILL = "will"
    GOODBYE = "goodbye"


PRESENCE: Lifecycle[Presence, PresenceEvent] = Lifecycle(
    "presence",
    Presence.UNKNOWN,
    {
        **{(at, PresenceEvent.STATE): Presence.ALIVE for at in Presence},
        **{(at, PresenceEvent.WILL): Presence.BROKEN for at in Presence},
        **{(at, PresenceEvent.GOODBYE): Presence.OFFLINE for at in Presence},
        (Presence.UNKNOWN, PresenceEvent.TIMEOUT): Presence.SILENT,
        (Presence.ALIVE, PresenceEvent.TIMEOUT): Presence.SILENT,
    },
)


class OrderState(StrEnum):
    """An order from the moment it is given."""

    OFFERED = "offered"
    """Sent, and not yet in the vehicle's state."""
    ACTIVE = "active"
    HELD = "held"
    """The vehicle refused an update; it stops at the end of the base that it has."""
    CANCELLING = "cancelling"
    FINISHED = "finished"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    UNANSWERED = "unanswered"
    """Sent as often as is sensible and never echoed. It may still turn up."""
    UNCONFIRMED = "unconfirmed"
    """Cancelled, but the vehicle did not say so in time: somebody must look."""


class OrderEvent(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"
    CONFIRM = "confirm"
    EXPIRE = "expire"


ORDER: Lifecycle[OrderState, OrderEvent] = Lifecycle(
    "AGV order",
    OrderState.OFFERED,
    {
        (OrderState.OFFERED, OrderEvent.ACCEPT): OrderState.ACTIVE,
        (OrderState.OFFERED, OrderEvent.REJECT): OrderState.REJECTED,
        (OrderState.OFFERED, OrderEvent.EXPIRE): OrderState.UNANSWERED,
        (OrderState.OFFERED, OrderEvent.CANCEL): OrderState.CANCELLING,
        (OrderState.OFFERED, OrderEvent.FAIL): OrderState.FAILED,
        (OrderState.UNANSWERED, OrderEvent.ACCEPT): OrderState.ACTIVE,
        (OrderState.UNANSWERED, OrderEvent.REJECT): OrderState.REJECTED,
        (OrderState.UNANSWERED, OrderEvent.CANCEL): OrderState.CANCELLING,
        (OrderState.ACTIVE, OrderEvent.FINISH): OrderState.FINISHED,
        (OrderState.ACTIVE, OrderEvent.FAIL): OrderState.FAILED,
        (OrderState.ACTIVE, OrderEvent.REJECT): OrderState.HELD,
        (OrderState.ACTIVE, OrderEvent.CANCEL): OrderState.CANCELLING,
        (OrderState.HELD, OrderEvent.ACCEPT): OrderState.ACTIVE,
        (OrderState.HELD, OrderEvent.FAIL): OrderState.FAILED,
        (OrderState.HELD, OrderEvent.CANCEL): OrderState.CANCELLING,
        (OrderState.CANCELLING, OrderEvent.CONFIRM): OrderState.CANCELLED,
        (OrderState.CANCELLING, OrderEvent.FINISH): OrderState.FINISHED,
        (OrderState.CANCELLING, OrderEvent.EXPIRE): OrderState.UNCONFIRMED,
        (
            OrderState.CANCELLED,
            OrderEvent.ACCEPT,
        ): OrderState.CANCELLING,  # it came late and is driven after all
        (OrderState.UNCONFIRMED, OrderEvent.CONFIRM): OrderState.CANCELLED,
        (OrderState.UNCONFIRMED, OrderEvent.FINISH): OrderState.FINISHED,
        (OrderState.UNCONFIRMED, OrderEvent.CANCEL): OrderState.CANCELLING,
    },
)

ENDED = frozenset({OrderState.FINISHED, OrderState.FAILED, OrderState.REJECTED, OrderState.CANCELLED})
"""Another order may follow. UNANSWERED and UNCONFIRMED are not among them: the vehicle may still drive."""


class InstantState(StrEnum):
    """An instant action from the moment it is sent."""

    SENT = "sent"
    ECHOED = "echoed"
    """In the vehicle's state: it is not sent again."""
    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed-out"


class InstantEvent(StrEnum):
    ECHO = "echo"
    FINISH = "finish"
    FAIL = "fail"
    EXPIRE = "expire"


INSTANT: Lifecycle[InstantState, InstantEvent] = Lifecycle(
    "instant action",
    InstantState.SENT,
    {
        (InstantState.SENT, InstantEvent.ECHO): InstantState.ECHOED,
        (InstantState.SENT, InstantEvent.FINISH): InstantState.FINISHED,
        (InstantState.SENT, InstantEvent.FAIL): InstantState.FAILED,
        (InstantState.SENT, InstantEvent.EXPIRE): InstantState.TIMED_OUT,
        (InstantState.ECHOED, InstantEvent.FINISH): InstantState.FINISHED,
        (InstantState.ECHOED, InstantEvent.FAIL): InstantState.FAILED,
        (InstantState.ECHOED, InstantEvent.EXPIRE): InstantState.TIMED_OUT,
    },
)

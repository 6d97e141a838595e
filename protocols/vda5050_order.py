"""An order as master control holds it: the whole way, how far it is released, and which part is sent next.

Source: VDA 5050 2.1.0, 6.6. The released nodes are the *base*, which cannot be taken back; the others are
the *horizon*. An update begins with the last node of the base (the stitching node), with the sequence id it
has, and without its actions: the vehicle has these already, and appends what a stitching node carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET

from protocols.vda5050 import Action, Edge, Node, NodePosition, Order
from protocols.vda5050_lifecycles import ENDED, OrderState

P = TypeVar("P")


class Stop(msgspec.Struct, frozen=True):
    """A node on the way and what is done there."""

    node_id: str
    position: NodePosition | None = None
    actions: tuple[Action, ...] = ()


class Way(msgspec.Struct, frozen=True):
    """The edge to the next stop. ``max_speed`` in m/s."""

    edge_id: str
    max_speed: float | None = None
    length: float | None = None


class Given(msgspec.Struct, frozen=True):
    """An order that was given to a vehicle; what a restart of master control needs of it.

    ``released`` nodes are wanted in the base, ``base`` of them are in it since update ``update_id``, which
    began at node ``first``. ``confirmed`` is the last update that the vehicle has shown; None for none.
    """

    order_id: str
    stops: tuple[Stop, ...]
    ways: tuple[Way, ...]
    released: int
    base: int
    update_id: int = 0
    first: int = 0
    confirmed: int | None = None
    state: OrderState = OrderState.OFFERED
    cancel_id: str = ""
    cancels: int = 0
    """How often cancelling was begun."""
    reason: str = ""
    passed: int = 0
    """Stops that the vehicle has reached, the first one included."""

    def __post_init__(self) -> None:
        if not self.stops or len(self.ways) != len(self.stops) - 1:
            raise ValueError(
                f"order {self.order_id}: {len(self.stops)} stops and {len(self.ways)} ways do not alternate"
            )
        if not 1 <= self.base <= len(self.stops) or not self.base <= self.released <= len(self.stops):
            raise ValueError(
                f"order {self.order_id}: base {self.base} and released {self.released} of {len(self.stops)}"
            )

    @property
    def ended(self) -> bool:
        """Nothing more comes of it; another order may follow."""
        return self.state in ENDED

    @property
    def pending(self) -> bool:
        """The last update was not yet shown by the vehicle."""
        return self.confirmed != self.update_id

    @property
    def actions(self) -> list[Action]:
        """All actions of the stops that are in the base."""
        return [action for stop in self.stops[: self.base] for action in stop.actions]

    @property
    def complete(self) -> bool:
        """All of the way is in the base."""
        return self.base == len(self.stops)

    def message_parts(self) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
        """Nodes and edges of the last update; the same every time it is sent."""
        nodes = tuple(
            Node(
                node_id=stop.node_id,
                sequence_id=2 * number,
                released=number < self.base,
                actions=stop.actions if number > self.first or self.first == 0 else (),
                node_position=UNSET if stop.position is None else stop.position,
            )
            for number, stop in self._from(self.stops)
        )
        edges = tuple(
            Edge(
                edge_id=way.edge_id,
                sequence_id=2 * number + 1,
                released=number + 1 < self.base,
                start_node_id=self.stops[number].node_id,
                end_node_id=self.stops[number + 1].node_id,
                actions=(),
                max_speed=UNSET if way.max_speed is None else way.max_speed,
                length=UNSET if way.length is None else way.length,
            )
            for number, way in self._from(self.ways)
        )
        return nodes, edges

    def _from(self, parts: Sequence[P]) -> list[tuple[int, P]]:
        return list(enumerate(parts))[self.first :]

    def next_update(self) -> Given | None:
        """The order with what is wanted as its next update; None while one is on its way."""
        if self.pending or self.released <= self.base or self.state is not OrderState.ACTIVE:
            return None
        return msgspec.structs.replace(
            self,
            update_id=self.update_id + 1,
            first=self.base - 1,
            base=self.released,
        )

    def with_horizon(self, stops: Sequence[Stop], ways: Sequence[Way]) -> Given:
        """Another way beyond the base: ``ways`` leads on from its last node to each of ``stops``.

        It is sent with the next release, as the vehicle need not know a horizon.
        """
        return msgspec.structs.replace(
            self,
            stops=(*self.stops[: self.base], *stops),
            ways=(*self.ways[: self.base - 1], *ways),
            released=min(self.released, self.base + len(stops)),
        )


def disorder(order: Order) -> str | None:
    """What is wrong with the sequence of a message's nodes and edges (6.6.1); None when nothing is."""
    nodes, edges = order.nodes, order.edges
    if not nodes or not nodes[0].released:
        return "the first node is not released"
    if len(edges) != len(nodes) - 1:
        return f"{len(nodes)} nodes and {len(edges)} edges do not alternate"
    if nodes[0].sequence_id % 2:
        return f"node {nodes[0].node_id} has the odd sequenceId {nodes[0].sequence_id}"
    for number, edge in enumerate(edges):
        before, after = nodes[number], nodes[number + 1]
        if (edge.sequence_id, after.sequence_id) != (before.sequence_id + 1, before.sequence_id + 2):
            return f"the sequence breaks at edge {edge.edge_id}"
        if (edge.start_node_id, edge.end_node_id) != (before.node_id, after.node_id):
            return f"edge {edge.edge_id} does not lead from {before.node_id} to {after.node_id}"
        if edge.released is not after.released or (after.released and not before.released):
            return f"the base has a hole at {after.node_id}"
    return None

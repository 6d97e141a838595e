"""A master, a vehicle and a bad network between them, in memory and in virtual time."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from drivers.virtual.agv import VirtualAgv
from protocols.vda5050 import (
    Action,
    ActionParameter,
    ActionStatus,
    BlockingType,
    Connection,
    ConnectionState,
    Factsheet,
    NodePosition,
    NotAMessageError,
    Order,
    State,
    decode,
)
from protocols.vda5050_control import InstantChanged, MasterControl, OrderChanged, Output
from protocols.vda5050_order import Given, Stop, Way
from protocols.vda5050_sending import Send, Timing
from protocols.vda5050_topics import Topic, VehicleId

VEHICLE = VehicleId("uagv", "acme", "7")
START = 1_790_000_000_000_000
LOAD = tuple(
    ActionParameter(key=key, value=value)
    for key, value in (("loadId", "L1"), ("stationType", "floor"), ("loadType", "EPAL"))
)
STEP = 500_000
TIMING = Timing(resend=2, tries=5, silence=20, instant=20, cancel=60)


def stops(count: int, *, actions: bool = True, start: int = 0) -> tuple[list[Stop], list[Way]]:
    """A straight line of nodes 4 m apart with a pick in the middle and a drop at the end."""
    made = [
        Stop(
            f"n{n}",
            NodePosition(x=4.0 * n, y=0.0, map_id="m"),
            (
                Action(
                    action_type="pick" if n < start + count - 1 else "drop",
                    action_id=f"a{n}",
                    blocking_type=BlockingType.HARD,
                    action_parameters=LOAD,
                ),
            )
            if actions and n in (start + count // 2, start + count - 1)
            else (),
        )
        for n in range(start, start + count)
    ]
    return made, [Way(f"e{n}", 2.0) for n in range(start, start + count - 1)]


@dataclass
class World:
    """``loss`` and so on are probabilities of what happens to one message."""

    rng: random.Random
    loss: float = 0.0
    twice: float = 0.0
    late: float = 0.0
    now: int = START
    agv: VirtualAgv = field(default_factory=lambda: VirtualAgv(VEHICLE, "n0", 0.0, 0.0, "m", speed=2.0))
    kept: Given | None = None
    """What the master's disk holds."""
    history: list[Given] = field(default_factory=list)
    instants: list[InstantChanged] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    sent: dict[tuple[str, int], Order] = field(default_factory=dict)
    headers: dict[Topic, int] = field(default_factory=dict)
    to_agv: list[Send] = field(default_factory=list)
    to_master: list[Send] = field(default_factory=list)
    delayed: list[tuple[int, bool, Send]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = itertools.count()
        self.master = self._master()
        self.to_master.append(self.agv.connection(ConnectionState.ONLINE, self.now))

    def _master(self) -> MasterControl:
        return MasterControl(VEHICLE, lambda: f"i{next(self.ids)}", TIMING)

    # --- the master -------------------------------------------------------------------------------------

    def take(self, outputs: list[Output]) -> None:
        for out in outputs:
            if isinstance(out, OrderChanged):
                self.kept = out.order
                self.history.append(out.order)
            elif isinstance(out, InstantChanged):
                self.instants.append(out)
            elif isinstance(out, Send):
                self._check(out)
                self._post(out, to_agv=True)

    def _check(self, send: Send) -> None:
        message = msgspec.json.decode(send.payload)
        assert message["headerId"] == self.headers.get(send.topic, -1) + 1, "headerId counts per topic"
        self.headers[send.topic] = message["headerId"]
        if send.topic is not Topic.ORDER:
            return
        order = decode(Order, send.payload)
        key = (order.order_id, order.order_update_id)
        bare = msgspec.structs.replace(order, header_id=0, timestamp="")
        assert self.sent.setdefault(key, bare) == bare, "the same update is the same message"
        before = self.sent.get((order.order_id, order.order_update_id - 1))
        if before is not None:
            last = [node for node in before.nodes if node.released][-1]
            first = order.nodes[0]
            assert (first.node_id, first.sequence_id) == (last.node_id, last.sequence_id), "stitching"
            assert not first.actions, "what the base has is not ordered twice"

    def restart_master(self) -> None:
        self.master = self._master()
        self.headers.clear()
        if self.kept is not None:
            self.take(self.master.restore(self.kept, self.now))

    # --- the vehicle ------------------------------------------------------------------------------------

    def restart_agv(self) -> None:
        """Power off and on: it knows where it is, and nothing else."""
        old = self.agv
        self.to_master.append(old.connection(ConnectionState.CONNECTIONBROKEN, self.now))
        self.agv = VirtualAgv(VEHICLE, old.node, old.x, old.y, old.map_id, speed=2.0)
        self.to_master.append(self.agv.connection(ConnectionState.ONLINE, self.now))

    # --- the network ------------------------------------------------------------------------------------

    def _post(self, send: Send, *, to_agv: bool) -> None:
        if self.rng.random() < self.loss:
            return
        for _ in range(2 if self.rng.random() < self.twice else 1):
            if self.rng.random() < self.late:
                self.delayed.append((self.now + self.rng.randrange(1, 6) * STEP, to_agv, send))
            else:
                (self.to_agv if to_agv else self.to_master).append(send)

    def step(self) -> None:
        """Half a second."""
        self.now += STEP
        due = [each for each in self.delayed if each[0] <= self.now]
        self.delayed = [each for each in self.delayed if each[0] > self.now]
        for _, to_agv, send in due:
            (self.to_agv if to_agv else self.to_master).append(send)
        arrived, self.to_agv = self.to_agv, []
        before = {a.action_id: a.action_status for a in self.agv.state(self.now).action_states}
        for send in arrived:
            for answer in self.agv.receive(send.topic, send.payload, self.now):
                self._post(answer, to_agv=False)
        for answer in self.agv.advance(STEP / 1e6, self.now):
            self._post(answer, to_agv=False)
        for each in self.agv.state(self.now).action_states:
            ended = each.action_status is ActionStatus.FINISHED
            if ended and before.get(each.action_id) is not ActionStatus.FINISHED:
                self.done[each.action_id] += 1
        arrived, self.to_master = self.to_master, []
        for send in arrived:
            self.hear(send)
        self.take(self.master.tick(self.now))

    def hear(self, send: Send) -> None:
        try:
            if send.topic is Topic.STATE:
                self.take(self.master.says(decode(State, send.payload), self.now))
            elif send.topic is Topic.CONNECTION:
                self.take(self.master.connected(decode(Connection, send.payload), self.now))
            elif send.topic is Topic.FACTSHEET:
                self.take(self.master.describes(decode(Factsheet, send.payload), self.now))
        except NotAMessageError as error:
            raise AssertionError(f"our own vehicle sent {error}") from error

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 1e6 / STEP)):
            self.step()

    def calm(self) -> None:
        """The network is well again."""
        self.loss = self.twice = self.late = 0.0

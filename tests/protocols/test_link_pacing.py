"""How the link shares a narrow line: urgent first, live values soon, the backlog as fast as the rest allows.

Virtual time: a line with a rate and a delay, a cloud that needs a moment to commit. Nothing sleeps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from protocols.lanes import Lane
from protocols.link_cloud import CloudLinks, Commit
from protocols.link_commands import Command, Delete, SendBatch, SendHello
from protocols.link_edge import EdgeLink
from protocols.packing import digest
from protocols.session import BatchKey, Hello
from tests.protocols.hostile_network import EDGE, LedgerDisk, Outbox, Row

STEP = 0.005
DELAY = 0.02
COMMIT = 0.03
STREAM = bytes(16)


@dataclass
class Line:
    """Edge and cloud at the two ends of a line of ``rate`` bytes a second upwards."""

    rate: float
    now: float = 0.0
    free_at: float = 0.0
    outbox: Outbox = field(default_factory=lambda: Outbox([STREAM]))
    ledger: LedgerDisk = field(default_factory=LedgerDisk)
    links: CloudLinks = field(default_factory=CloudLinks)
    link: EdgeLink = field(default_factory=lambda: EdgeLink(EDGE, lambda: b"session"))
    upward: deque[tuple[float, SendBatch | Hello]] = field(default_factory=deque)
    downward: deque[tuple[float, object]] = field(default_factory=deque)
    sealed_at: dict[BatchKey, float] = field(default_factory=dict)
    took: dict[BatchKey, float] = field(default_factory=dict)
    historical: dict[BatchKey, bool] = field(default_factory=dict)
    order: list[BatchKey] = field(default_factory=list)

    def seal(self, lane: Lane, size: int) -> BatchKey:
        blob = b"%d" % len(self.sealed_at)
        key = self.outbox.seal(lane, Row(blob, digest(blob), size))
        self.sealed_at[key] = self.now
        self.carry_out(self.link.sealed(key, self.now))
        return key

    def transmit(self, message: SendBatch | Hello, size: int) -> None:
        self.free_at = max(self.free_at, self.now) + size / self.rate
        self.upward.append((self.free_at + DELAY, message))

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case SendHello(session=session):
                    hello = self.link.hello(
                        session, self.outbox.announced(), self.outbox.bounds(), {}, b"", 0
                    )
                    assert hello is not None
                    self.transmit(hello, 500)
                case SendBatch() as send:
                    self.transmit(send, send.batch.size)
                case Delete(batches=batches):
                    for key, _ in batches:
                        del self.outbox.rows[key]
                case other:
                    pytest.fail(f"unexpected {other}")
        for want in self.link.wants(self.now):
            self.carry_out(self.link.offer(want, self.outbox.offered(want), self.now))

    def step(self) -> None:
        self.now += STEP
        taken = False
        while self.upward and self.upward[0][0] <= self.now:
            message = self.upward.popleft()[1]
            taken = True
            if isinstance(message, SendBatch):
                blob = self.outbox.rows[message.batch.key].blob
                decision = self.links.received(EDGE, message.envelope(blob), self.ledger, self.now, 0)
                if isinstance(decision, Commit):
                    key = decision.batch.key
                    self.ledger.put(key, blob, decision.batch.digest)
                    self.took[key] = self.now - self.sealed_at[key]
                    self.historical[key] = decision.historical
                    self.order.append(key)
            else:
                self.links.received(EDGE, message, self.ledger, self.now, 0)
        if taken:
            self.downward.extend((self.now + COMMIT + DELAY, reply) for _, reply in self.links.flush())
        while self.downward and self.downward[0][0] <= self.now:
            self.carry_out(self.link.received(self.downward.popleft()[1], self.now))  # type: ignore[arg-type]
        self.carry_out(self.link.tick(self.now))


def percentile_95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


@pytest.mark.parametrize("rate", [250e3, 1e6, 10e6])
def test_live_values_stay_live_while_a_backlog_drains(rate: float) -> None:
    line = Line(rate)
    size = 60_000
    count = int(20 * rate / size)
    backlog = [line.seal(Lane.TELEMETRY, size) for _ in range(count)]
    line.carry_out(line.link.connected(line.now))
    live: list[BatchKey] = []
    actions: list[BatchKey] = []
    started = line.now
    while any(key in line.outbox.rows for key in (backlog[-1], backlog[-2])):
        line.step()
        if line.now * 2 > len(live):
            live.append(line.seal(Lane.TELEMETRY, 2_000))
        if line.now / 3 > len(actions):
            actions.append(line.seal(Lane.ACTIONS, 300))
        assert line.now < 100, "the backlog does not drain"
    settled = [key for key in live if key in line.took]
    assert len(settled) >= len(live) - 4
    assert percentile_95([line.took[key] for key in settled]) <= 1.0
    assert percentile_95([line.took[key] for key in actions if key in line.took]) <= 1.0
    assert not any(line.historical[key] for key in settled[4:])
    assert all(line.historical[key] for key in backlog)
    used = count * size / ((line.now - started) * rate)
    assert used >= 0.7, f"only {used:.0%} of the line carries backlog"


def test_backlog_goes_oldest_first() -> None:
    line = Line(1e6)
    backlog = [line.seal(Lane.TELEMETRY, 10_000) for _ in range(40)]
    line.carry_out(line.link.connected(line.now))
    while line.outbox.rows:
        line.step()
        assert line.now < 10
    assert line.order == backlog


def test_more_urgent_lanes_go_first() -> None:
    line = Line(100e3)
    rows = [
        line.seal(lane, 20_000)
        for _ in range(5)
        for lane in (Lane.BULK, Lane.TELEMETRY, Lane.STATES, Lane.ACTIONS)
    ]
    line.carry_out(line.link.connected(line.now))
    while line.outbox.rows:
        line.step()
        assert line.now < 60
    lanes = [key.lane for key in line.order]
    assert len(line.order) == len(rows)
    assert lanes == sorted(lanes, key=list(Lane).index)


def test_a_line_too_slow_for_the_live_values_delivers_the_freshest_of_them() -> None:
    line = Line(20e3)
    line.carry_out(line.link.connected(line.now))
    sealed: list[BatchKey] = []
    while line.now < 60:
        line.step()
        if line.now * 2 > len(sealed):
            sealed.append(line.seal(Lane.TELEMETRY, 15_000))
    recent = [key for key in line.order if line.sealed_at[key] > 20 and not line.historical[key]]
    assert recent, "nothing arrives live any more"
    assert len(recent) >= 5
    assert max(line.took[key] for key in recent) < 10

"""The link under loss, repetition, reordering, delay, damage and restarts of either side."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocols import session
from protocols.lanes import Lane
from protocols.link_cloud import LaneGap
from protocols.link_window import Timing
from protocols.packing import digest
from protocols.session import BatchKey
from tests.protocols.hostile_network import SMALL, LedgerDisk, Row, World

INDEX = st.integers(0, 40)
LANES = st.sampled_from(list(Lane))
SIZES = st.sampled_from([100, 60_000, 120_000])
OUTCOMES = st.sampled_from(["replied", "replied", "replied", "silent", "rolled back"])

MISHAPS: dict[str, Callable[[World], None]] = {
    "disconnected": World.disconnect,
    "the agent restarts": World.start_edge,
    "the cloud restarts": lambda world: world.restart_cloud(announce=False),
    "the cloud restarts and says so": lambda world: world.restart_cloud(announce=True),
    "a backup is made": World.copy_outbox,
    "the backup is restored": lambda world: world.restore_outbox(resumed=False),
    "a virtual machine goes on from its snapshot": lambda world: world.restore_outbox(resumed=True),
    "the ledger is copied": World.copy_ledger,
    "the ledger is put back to its copy": World.restore_ledger,
    "telemetry is dropped": lambda world: world.drop_oldest(Lane.TELEMETRY),
    "bulk is dropped": lambda world: world.drop_oldest(Lane.BULK),
}
"""What happens rarely, in one rule, so that the machine gets anywhere between two of them."""


class HostileNetwork(RuleBasedStateMachine):
    """Anything may happen at any time; :class:`World` asserts what must hold, and at the end the network
    does its work and everything must drain.
    """

    @initialize(connected=st.booleans())
    def begin(self, connected: bool) -> None:
        self.world = World()
        if connected:
            self.world.all_goes_well()

    @rule(lanes=st.lists(LANES, min_size=1, max_size=6), size=SIZES)
    def append(self, lanes: list[Lane], size: int) -> None:
        for lane in lanes:
            self.world.append(lane, size)

    @rule(lanes=st.lists(LANES, min_size=1, max_size=6), size=SIZES)
    def work_goes_on(self, lanes: list[Lane], size: int) -> None:
        for lane in lanes:
            self.world.append(lane, size)
        self.world.all_goes_well()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.world.all_goes_well()

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 40.0]))
    def nothing_moves(self, seconds: float) -> None:
        self.world.connect()
        self.world.pass_time(seconds)

    @rule(indices=st.lists(INDEX, min_size=1, max_size=8), outcome=OUTCOMES)
    def cloud_takes_some_in_any_order(self, indices: list[int], outcome: str) -> None:
        self.world.receive(indices, outcome)

    @rule(indices=st.lists(INDEX, min_size=1, max_size=4))
    def edge_hears_some_in_any_order(self, indices: list[int]) -> None:
        for index in indices:
            self.world.deliver_down(index)

    @rule(upward=st.booleans(), index=INDEX)
    def lose(self, upward: bool, index: int) -> None:
        self.world.lose(upward, index)

    @rule(upward=st.booleans(), index=INDEX)
    def repeat(self, upward: bool, index: int) -> None:
        self.world.repeat(upward, index)

    @rule(index=INDEX)
    def damage(self, index: int) -> None:
        self.world.damage(index)

    @rule(index=INDEX)
    def rot(self, index: int) -> None:
        self.world.rot(index)

    @rule(lazy=st.booleans())
    def edge_shell_is_slow(self, lazy: bool) -> None:
        self.world.catch_up()
        self.world.lazy = lazy

    @rule(mishap=st.sampled_from(sorted(MISHAPS)))
    def mishap(self, mishap: str) -> None:
        MISHAPS[mishap](self.world)

    @invariant()
    def nothing_is_lost(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()


TestHostileNetwork = HostileNetwork.TestCase
TestHostileNetwork.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)


def walk(world: World, random: Random, steps: int) -> None:
    """A long life, weighted so that work gets done between the mishaps: what hypothesis, which prefers short
    and even lives, seldom reaches. Some lives are harder than others.
    """
    hardship = random.random()
    outcomes = ["replied"] * 6 + ["silent", "rolled back"]
    events: list[tuple[float, Callable[[], None]]] = [
        (12, lambda: seal_some(world, random)),
        (1 + 10 * (1 - hardship), world.all_goes_well),
        (4, world.connect),
        (10, lambda: world.receive(some_messages(random), random.choice(outcomes))),
        (10, lambda: world.deliver_down(random.choice([0, 0, random.randrange(40)]))),
        (5, lambda: world.pass_time(random.choice([0.05, 0.1, 0.1, 1, 4, 40]))),
        (4, world.catch_up),
        (1, lambda: setattr(world, "lazy", random.random() < 0.5)),
        (2 * hardship, lambda: world.lose(random.random() < 0.5, random.randrange(40))),
        (2 * hardship, lambda: world.repeat(random.random() < 0.5, random.randrange(40))),
        (hardship, lambda: world.damage(random.randrange(40))),
        (0.3, lambda: world.rot(random.randrange(40))),
        (3 * hardship, lambda: MISHAPS[random.choice(sorted(MISHAPS))](world)),
    ]
    weights = [weight for weight, _ in events]
    for _ in range(steps):
        (event,) = random.choices(events, weights)
        event[1]()
        world.check()


def seal_some(world: World, random: Random) -> None:
    for _ in range(random.randint(1, 5)):
        world.append(random.choice(list(Lane)), random.choice([100, 60_000, 120_000]))


def some_messages(random: Random) -> list[int]:
    """Which messages the cloud takes: mostly the oldest."""
    farthest = 5 if random.random() < 0.7 else 40
    return [random.randrange(farthest) for _ in range(random.randint(1, 8))]


@pytest.mark.parametrize("seed", range(40))
def test_long_lives(seed: int) -> None:
    world = World()
    walk(world, Random(seed), steps=300)
    world.settle()
    assert len(world.ledger.batches) > 10


def test_acknowledgement_from_before_a_restore_deletes_nothing() -> None:
    """It speaks of another batch that had the same key."""
    world = World()
    world.all_goes_well()
    world.copy_outbox()
    world.append(Lane.TELEMETRY, 100)
    world.receive([0] * len(world.up))
    late = world.down[:]
    assert late
    world.restore_outbox(resumed=True)
    world.down.clear()
    world.append(Lane.TELEMETRY, 100)
    world.all_goes_well()
    assert world.link.under_way == 1
    world.down = late
    world.deliver_down(0)
    world.settle()
    assert len(world.ledger.blobs) == 2


def test_hole_on_the_edges_disk_is_reported_and_blocks_nothing() -> None:
    world = World()
    for _ in range(8):
        world.append(Lane.ACTIONS, 100)
    stream = world.outbox.streams[-1]
    world.vanish(BatchKey(stream, Lane.ACTIONS, 3))
    world.vanish(BatchKey(stream, Lane.ACTIONS, 4))
    world.settle()
    assert world.gaps == [LaneGap(stream, Lane.ACTIONS, 3, 4)]
    assert len(world.ledger.batches) == 6


def test_ledger_restored_from_an_old_copy_is_reported_and_blocks_nothing() -> None:
    world = World()
    for _ in range(8):
        world.append(Lane.STATES, 100)
    world.settle()
    stream = world.outbox.streams[-1]
    world.ledger = LedgerDisk()
    world.links.reset()
    world.vanished = {BatchKey(stream, Lane.STATES, seq) for seq in range(1, 9)}
    world.owed.clear()
    world.append(Lane.STATES, 100)
    world.settle()
    assert world.gaps == [LaneGap(stream, Lane.STATES, 1, 8)]
    assert list(world.ledger.batches) == [BatchKey(stream, Lane.STATES, 9)]


def test_idle_edge_of_a_ledger_put_back_to_an_old_copy_reports_the_gap_and_is_not_held_up() -> None:
    """Nothing waits at the edge when it says hello: what it sends next must not be taken for out of order."""
    world = World()
    for lane in (Lane.ACTIONS, Lane.STATES, Lane.STATES):
        world.append(lane, 100)
    world.settle()
    stream = world.outbox.streams[-1]
    world.ledger = LedgerDisk()
    world.owed.clear()
    lost = [LaneGap(stream, Lane.ACTIONS, 1, 1), LaneGap(stream, Lane.STATES, 1, 2)]
    world.vanished = {BatchKey(gap.stream, gap.lane, gap.last) for gap in lost}
    world.pass_time(10)
    world.restart_cloud(announce=True)
    for _ in range(3):
        world.all_goes_well()
    assert world.gaps == lost
    began = world.now
    world.append(Lane.ACTIONS, 100)
    world.append(Lane.STATES, 100)
    world.settle()
    assert world.now - began < 1.0


def test_cloned_disks_fork_and_both_histories_are_kept() -> None:
    """A virtual machine is copied with its agent running; both copies seal under the same keys."""
    world = World()
    world.all_goes_well()
    world.copy_outbox()
    for lane in (Lane.ACTIONS, Lane.TELEMETRY, Lane.ACTIONS, Lane.TELEMETRY):
        world.append(lane, 100)
    world.settle()
    world.restore_outbox(resumed=True)
    for lane in (Lane.ACTIONS, Lane.TELEMETRY, Lane.ACTIONS, Lane.TELEMETRY):
        world.append(lane, 100)
    world.settle()
    assert len(world.ledger.blobs) == 8
    assert len(world.moved) == 4
    assert {alarm.code for alarm in world.alarms} == {"link.fork"}


def test_streams_of_very_many_starts_are_told_and_drained_in_portions() -> None:
    """An agent that starts again and again while nobody answers: its hello stays small enough to be read."""
    world = World()
    for _ in range(20):
        world.start_edge()
        for lane in (Lane.TELEMETRY, Lane.STATES, Lane.ACTIONS):
            world.append(lane, 100)
    world.connect()
    told: list[int] = []
    for _ in range(200):
        told += [len(session.decode_hello(data).streams) for kind, data in world.up if kind == "hello"]
        world.all_goes_well()
        world.pass_time(0.1)
        if not world.outbox.rows:
            break
        world.append(Lane.TELEMETRY, 100)
    assert not world.outbox.rows
    assert len(world.ledger.batches) >= 3 * 20
    assert max(told) == SMALL.streams
    assert 20 / SMALL.streams <= len(told) <= 20


def test_ten_thousand_small_batches_drain() -> None:
    world = World(Timing())
    for number in range(10_000):
        blob = b"%d" % number
        world.outbox.seal(Lane.TELEMETRY, Row(blob, digest(blob), 200))
    world.settle(rounds=120)
    assert len(world.ledger.batches) == 10_000

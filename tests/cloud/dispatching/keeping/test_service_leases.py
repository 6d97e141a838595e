"""No operation can be begun at two edges, however messages are lost, repeated, overtaken or late.

The cloud's own leases and job lists against the edge's own queue, over a network that hypothesis runs.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from cloud.dispatching.floor.floor import Floor, read_floor
from cloud.dispatching.keeping import joblists
from cloud.dispatching.tables import plan, plan_operation
from cloud.orders import leases
from cloud.orders.effects import OrderEffects
from cloud.store.database import Database
from edge.station import lease
from edge.station.commands import OpenRun
from edge.station.refusals import Refusal
from edge.station.workcell import Place, Surroundings, Workcell, decide, perform
from protocols.actions import Action
from protocols.documents import loads
from protocols.jobs import JobList, ReleaseRequest, Text
from protocols.site import Site
from protocols.states import JobsApplied
from tests.cloud.orders.shop import NOW_US, SECOND, open_database, order, order_desk, site_text

SITE = loads(
    site_text()
    .replace("workcells: [laser-1, laser-2, brake-1, weld-1]", "workcells: [laser-1, brake-1, weld-1]")
    .replace("workcells: [coat-1, asm-1, pack-1]", "workcells: [laser-2, coat-1, asm-1, pack-1]"),
    Site,
    "site.yaml",
)
EDGES = {"machining": "laser-1", "finishing": "laser-2"}
CUTS = [f"26-000{n}-1-10" for n in (1, 2)]
AHEAD = 2

names = st.sampled_from(sorted(EDGES))
picks = st.sampled_from([set[str](), {CUTS[0]}, set(CUTS)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), picks, picks),
        st.tuples(st.just("deliver"), names, st.sampled_from([0, 1, 2, -1, -1, -2])),
        st.tuples(st.just("actions up"), names),
        st.tuples(st.just("states up"), names),
        st.tuples(st.just("reissue"), names),
        st.tuples(st.just("begin"), names, st.sampled_from(CUTS)),
    ),
    min_size=20,
    max_size=80,
)


@dataclass
class Station:
    """One edge with one laser, by the edge's own rules. Nothing it receives or says is lost inside it."""

    edge: str
    cell: Workcell
    begun: set[str] = field(default_factory=set)
    actions: deque[Action] = field(default_factory=deque)
    states: deque[JobsApplied] = field(default_factory=deque)
    answered: set[str] = field(default_factory=set)
    count: int = 0

    def receive(self, message: JobList | ReleaseRequest) -> None:
        if isinstance(message, JobList):
            after = lease.receive(self.cell, message)
            if after is not self.cell:
                self.states.append(JobsApplied(NOW_US, message.version))
            self.cell = after
        elif message.request not in self.answered:
            self.answered.add(message.request)
            answer = lease.answer({self.cell.place.id: self.cell}, message)
            self.cell = answer.cells[self.cell.place.id]
            for event in answer.events(message.request):
                self.count += 1
                name = f"{self.edge}-{self.count}"
                self.actions.append(Action(name, NOW_US, self.cell.place.id, "planner", event))

    def begin(self, operation: str) -> None:
        self.count += 1
        command = OpenRun(id=f"{self.edge}-{self.count:08d}", actor="op-1", operations=(operation,))
        try:
            actions = decide(self.cell, command, Surroundings(NOW_US))
        except Refusal:
            return
        self.cell = perform(self.cell, command, actions)
        self.actions.extend(actions)
        self.begun.add(operation)

    def offers(self) -> set[str]:
        """What may be begun here now."""
        return set(self.cell.queue.operations) - self.cell.queue.released - self.begun


class World:
    """The cloud's transaction, the stations, and everything that was ever sent."""

    def __init__(self, tx: Connection) -> None:
        self.tx = tx
        self.now = NOW_US
        self.requests = 0
        self.effects = OrderEffects()
        self.stations = {
            edge: Station(edge, Workcell(Place(cell, edge, Text(cell, cell)))) for edge, cell in EDGES.items()
        }
        self.sent: dict[str, list[JobList | ReleaseRequest]] = {edge: [] for edge in EDGES}

    def floor(self) -> Floor:
        self.now += SECOND
        return read_floor(self.tx, SITE, self.now, 900)

    def plan(self, on_second: set[str], ask: set[str]) -> None:
        """A plan as the planner makes it, free work anywhere, held and running work where it is; then what
        follows from it, with some of what is held asked back.
        """
        floor = self.floor()
        run_of = floor.run_of()
        row = {"created": self.now, "causes": [], "status": "constructed", "seconds": 0.0, "objective": {}}
        row |= {"difference": {}, "down": [], "wishes": [], "note": ""}
        version = self.tx.execute(insert(plan).values(row).returning(plan.c.version)).scalar_one()
        kinds = {cell.kind: cell.id for cell in SITE.workcells().values()}
        for number, operation in enumerate(floor.operations):
            held = floor.leases.get(operation.id)
            cell = kinds[operation.kind]
            if operation.kind == "laser":
                cell = "laser-2" if operation.id in on_second else "laser-1"
            if operation.id in run_of:
                cell = run_of[operation.id].workcell
            elif held is not None and not held.returned:
                cell = held.workcell
            times = {"start": self.now + number, "end": self.now + number + 1}
            values = {"version": version, "operation_id": operation.id, "workcell": cell, "run_group": ""}
            zero = {"setup_seconds": 0, "changeover_seconds": 0, "fixed": 0, "due": 0, "weight": 1}
            self.tx.execute(insert(plan_operation).values(values | times | zero))
        leases.forget_returned(self.tx, [name for name, held in floor.leases.items() if held.returned])
        self.hand_out(ask)

    def hand_out(self, ask: set[str]) -> None:
        """Ask for some of what is held, where that is allowed, then issue what changed."""
        floor = self.floor()
        allowed, running = leases.may_ask(self.tx), floor.run_of()
        asked = set()
        for name in sorted(ask - running.keys() - floor.asked):
            held = floor.leases.get(name)
            if held is not None and not held.returned and held.edge in allowed:
                self.requests += 1
                request = ReleaseRequest(f"q{self.requests}", (name,), "because")
                leases.ask(self.tx, request.request, held.edge, [name], request.reason, self.now)
                self.sent[held.edge].append(request)
                asked.add(name)
        floor = msgspec.structs.replace(floor, asked=floor.asked | asked)
        for jobs in joblists.issue(self.tx, floor, SITE, AHEAD, self.now):
            self.sent[jobs.edge].append(jobs)

    def reissue(self, edge: str) -> None:
        jobs = joblists.reissue(self.tx, self.floor(), SITE, AHEAD, edge, self.now)
        if jobs is not None:
            self.sent[edge].append(jobs)

    def deliver(self, edge: str, index: int) -> None:
        """Any message ever sent arrives, perhaps again, perhaps long after newer ones; -1 is the newest."""
        messages = self.sent[edge]
        if messages:
            self.stations[edge].receive(messages[index % len(messages)])

    def actions_up(self, edge: str) -> None:
        queue = self.stations[edge].actions
        if queue:
            self.effects.actions(self.tx, edge, [queue.popleft()], self.now)

    def states_up(self, edge: str) -> None:
        queue = self.stations[edge].states
        if queue:
            self.effects.states(self.tx, edge, [queue.popleft()], self.now)

    def begin(self, edge: str, operation: str) -> None:
        self.stations[edge].begin(operation)

    def check(self) -> None:
        """What one station has begun, or may begin now, no other has begun or may begin."""
        one, other = (station.begun | (station.offers() & set(CUTS)) for station in self.stations.values())
        assert not one & other, f"at two stations: {sorted(one & other)}"

    def calm_down(self) -> None:
        """The network works: everything sent arrives in order, everything said is heard."""
        for _ in range(4):
            self.plan(set(), set())
            for edge, station in self.stations.items():
                for message in self.sent[edge]:
                    station.receive(message)
                while station.actions:
                    self.actions_up(edge)
                while station.states:
                    self.states_up(edge)


class _Rollback(Exception):
    pass


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'leases.db'}")
    desk = order_desk()
    for _ in CUTS:
        opened.write(lambda tx: desk.create(tx, order(("door", 1, {})))).result()
    yield opened
    opened.close()


NONE: set[str] = set()
ALL = set(CUTS)
A, B = "machining", "finishing"
LATE_LIST = [
    ("plan", NONE, ALL),  # asked back while the list is still under way …
    ("deliver", A, 1),  # … and the question overtakes it
    ("actions up", A),
    ("plan", ALL, NONE),
    ("deliver", B, -1),
    ("deliver", A, 0),
]
SECOND_LIST = [
    ("deliver", A, 0),
    ("states up", A),
    ("reissue", A),  # as when the edge opens a session
    ("plan", NONE, ALL),
    ("deliver", A, 2),
    ("actions up", A),
    ("plan", ALL, NONE),
    ("deliver", B, -1),
    ("deliver", A, 1),
]


@example(script=LATE_LIST)
@example(script=SECOND_LIST)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=steps)
def test_no_operation_is_begun_twice(database: Database, script: list[tuple[object, ...]]) -> None:
    def work(tx: Connection) -> None:
        world = World(tx)
        world.plan(set(), set())
        for step in script:
            getattr(world, str(step[0]).replace(" ", "_"))(*step[1:])
            world.check()
        world.calm_down()
        world.check()
        offered = {name for station in world.stations.values() for name in station.offers()}
        begun = {name for station in world.stations.values() for name in station.begun}
        assert begun | (offered & set(CUTS)) == set(CUTS), "work lies about and nobody has it"
        raise _Rollback

    with pytest.raises(_Rollback):
        database.write(work).result()

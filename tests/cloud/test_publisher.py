"""Messages to edges go out until they are confirmed, and not to edges that are not there."""

import asyncio
from collections.abc import Callable

import pytest

from cloud import publisher as publishing
from cloud.hub import ActionsLedgered, Hub, StatesLedgered
from cloud.publisher import Publisher
from protocols import jobs
from protocols.actions import Action, LeaseKept, LeaseReleased
from protocols.clock import Clock
from protocols.jobs import JobList, ReleaseRequest
from protocols.lanes import Down, down
from protocols.states import JobsApplied

JOBS, RELEASE = down("a", Down.JOBS), down("a", Down.RELEASE)


class Wire:
    """What was sent, and a clock that the test moves; ``heard`` says which edges are there."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.ns = 10**18
        self.heard: dict[str, int] = {}
        self.hub = Hub()
        self.clock = Clock(lambda: self.ns, lambda: self.ns)
        self.publisher = Publisher(
            lambda topic, payload: self.sent.append((topic, payload)), self.hub, self.clock, self.heard
        )

    def pass_time(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)

    def versions(self) -> list[int]:
        return [jobs.decode_jobs(payload).version for topic, payload in self.sent if topic == JOBS]

    def requests(self) -> list[str]:
        return [jobs.decode_release(payload).request for topic, payload in self.sent if topic == RELEASE]


def job_list(version: int) -> JobList:
    return JobList("a", version, 1, ())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(publishing, "RESEND", 0.03)
    return Wire()


async def test_a_job_list_is_sent_until_the_edge_has_applied_it(wire: Wire) -> None:
    wire.heard["a"] = wire.clock.now()
    running = asyncio.create_task(wire.publisher.run())
    try:
        wire.publisher.publish_jobs(job_list(3))
        wire.publisher.publish_jobs(job_list(2))
        assert wire.versions() == [3]
        wire.pass_time(1)
        await until(lambda: wire.versions() == [3, 3])
        wire.hub.publish(StatesLedgered("a", [JobsApplied(1, 2)]))
        wire.hub.publish(StatesLedgered("b", [JobsApplied(1, 3)]))
        await asyncio.sleep(0.05)
        assert wire.publisher.unconfirmed() == {"a": 1}
        wire.hub.publish(StatesLedgered("a", [JobsApplied(1, 3)]))
        await until(lambda: wire.publisher.unconfirmed() == {})
        wire.pass_time(1)
        await asyncio.sleep(0.05)
        assert wire.versions() == [3, 3]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_edge_that_is_away_gets_it_when_it_opens_a_session(wire: Wire) -> None:
    running = asyncio.create_task(wire.publisher.run())
    try:
        wire.publisher.publish_jobs(job_list(1))
        wire.pass_time(60)
        await asyncio.sleep(0.05)
        assert wire.versions() == [1]
        wire.publisher.opened("a")
        wire.publisher.opened("b")
        assert wire.versions() == [1, 1]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_release_is_asked_for_until_all_operations_are_answered(wire: Wire) -> None:
    running = asyncio.create_task(wire.publisher.run())

    def answered(event: LeaseReleased | LeaseKept) -> None:
        wire.hub.publish(ActionsLedgered("a", [Action("x", 1, "cell", "edge", event)]))

    try:
        await asyncio.sleep(0.01)
        wire.publisher.request_release("a", ReleaseRequest("r1", ("o1", "o2"), "moved"))
        wire.publisher.request_release("a", ReleaseRequest("r2", ("o3",), "moved"))
        assert wire.requests() == ["r1", "r2"]
        answered(LeaseReleased("r1", ("o1",)))
        wire.publisher.withdraw("a", "r2")
        wire.publisher.withdraw("a", "unknown")
        await asyncio.sleep(0.05)
        wire.publisher.opened("a")
        assert wire.requests() == ["r1", "r2", "r1"]
        answered(LeaseKept("r1", ("o2",)))
        await until(lambda: wire.publisher.unconfirmed() == {})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

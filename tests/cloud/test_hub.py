"""The live hub: from any thread to bounded, coalescing queues."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud import hub as hubs
from cloud.hub import (
    ActionsLedgered,
    EdgeChanged,
    Event,
    Hub,
    Lagged,
    OrdersChanged,
    PlanPublished,
    SamplesLedgered,
)


def samples(first: int, count: int, *, historical: bool = False) -> SamplesLedgered:
    """``count`` samples of tag 1 and 2, times from ``first`` on."""
    times = list(range(first, first + count))
    return SamplesLedgered("a", [1 + ts % 2 for ts in times], times, list(times), [0] * count, historical)


async def test_a_subscriber_hears_the_kinds_it_asked_for_in_order() -> None:
    hub = Hub()
    async with hub.subscribe({ActionsLedgered, PlanPublished}) as events:
        assert hub.wanted(PlanPublished)
        for number in range(3):
            hub.publish(ActionsLedgered(f"edge-{number}", []))
            hub.publish(OrdersChanged())
        got = await events.get_all()
    assert [event.edge for event in got if isinstance(event, ActionsLedgered)] == [
        "edge-0",
        "edge-1",
        "edge-2",
    ]
    assert len(got) == 3
    assert not hub.wanted(PlanPublished)


async def test_look_again_events_coalesce() -> None:
    hub = Hub()
    async with hub.subscribe({OrdersChanged, PlanPublished, EdgeChanged}) as events:
        for version in range(5):
            hub.publish(OrdersChanged())
            hub.publish(PlanPublished(version))
            hub.publish(EdgeChanged("a" if version % 2 else "b"))
        assert await events.get_all() == [
            OrdersChanged(),
            PlanPublished(4),
            EdgeChanged("b"),
            EdgeChanged("a"),
        ]


async def test_too_many_samples_shrink_to_the_newest_live_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_SAMPLES", 10)
    hub = Hub()
    async with hub.subscribe({SamplesLedgered}) as events:
        hub.publish(samples(0, 4))
        hub.publish(samples(1000, 4, historical=True))
        hub.publish(samples(4, 4))
        lagged, newest = await events.get_all()
    assert lagged == Lagged(1)
    assert isinstance(newest, SamplesLedgered)
    assert dict(zip(newest.tags, newest.times, strict=True)) == {1: 6, 2: 7}
    assert not newest.follows


async def test_facts_left_out_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MAX_FACTS", 2)
    hub = Hub()
    async with hub.subscribe({ActionsLedgered}) as events:
        for number in range(5):
            hub.publish(ActionsLedgered(f"edge-{number}", []))
        lagged, *rest = await events.get_all()
    assert lagged == Lagged(3)
    assert rest == [ActionsLedgered("edge-3", []), ActionsLedgered("edge-4", [])]


async def test_publishing_from_threads_wakes_the_loop() -> None:
    hub = Hub()
    total, got = 400, 0
    async with hub.subscribe({ActionsLedgered}) as events:
        with ThreadPoolExecutor(4) as pool:
            for number in range(total):
                pool.submit(hub.publish, ActionsLedgered(str(number), []))
            async with asyncio.timeout(10):
                async for event in events:
                    assert isinstance(event, Event)
                    got += 1
                    if got == total:
                        break
    assert got == total
    hub.publish(ActionsLedgered("after", []))  # nobody listens: no one minds

"""OPC UA notification → outbox: CPU of each sample, beside asyncua's own subscription that drops it.

500 64-bit floats change five times a second on a server in a process of its own. ``driver to outbox`` is
driver, collector, recorder and the store's commits in one process without a link, as the row of DESIGN §8
says; ``whole edge`` is the real process with broker and cloud, its idle costs spread over the same samples.
Beside them asyncua alone: with its Subscription, which starts a task for every value, and below it, where
nothing but the wire is read. They take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds

from drivers.profile.files import load_profile
from tests.bench.figures import Figure, Size, median, missing
from tests.bench.moving import PERIOD, Moving, moving, write_profile
from tests.bench.site import lacking, per_reading, site
from tests.edge.machines import collecting, device, recorder_of

TAGS = 500
TARGET = 1.5
WARM_S = 2.0


async def run(size: Size) -> list[Figure]:
    """See the module."""
    seconds, count = size.of(3, 6), size.of(1, 4)
    with tempfile.TemporaryDirectory() as folder:
        profile = write_profile(Path(folder), "opcua", TAGS)
        async with moving(profile, "all") as machine:
            bare, decoded, ours = [], [], []
            for turn in range(count):
                bare.append(await _bare(machine, seconds))
                decoded.append(await _decoded(machine, seconds))
                ours.append(await _ours(machine, Path(folder) / str(turn), seconds))
            note = f"{TAGS} tags × 5 Hz"
            figures = [
                median("bare asyncua, its Subscription", bare, "µs/notification", note=note),
                median("bare asyncua, decoding alone", decoded, "µs/notification", note="14 in DESIGN §8"),
                median("driver to outbox", ours, "µs/sample", note="scaled, numbered, encoded, committed"),
                median(
                    "driver to outbox : asyncua decoding alone",
                    list(map(truediv, ours, decoded)),
                    "×",
                    TARGET,
                    note=f"{statistics.median(map(truediv, ours, bare)):.2f} × its Subscription",
                ),
            ]
            return [*figures, await _edge(machine, Path(folder), seconds, statistics.median(decoded))]


async def _bare(machine: Moving, seconds: float) -> float:
    """CPU µs of each notification that asyncua's Subscription hands to a handler which drops it."""
    count = 0

    class Counting:
        def datachange_notification(self, _node: Any, _value: Any, _data: Any) -> None:
            nonlocal count
            count += 1

    async with Client(machine.url) as client:
        subscription = await client.create_subscription(PERIOD * 1000, Counting())
        nodes = [client.get_node(node) for node in await _nodes(client)]
        await subscription.subscribe_data_change(nodes, queuesize=10)
        return await _each(lambda: count, seconds)


async def _decoded(machine: Moving, seconds: float) -> float:
    """CPU µs of each notification that asyncua reads off the wire, taken below its Subscription."""
    count = 0

    def notified(result: ua.PublishResult) -> None:
        nonlocal count
        data: Any = result.NotificationMessage.NotificationData
        count += sum(len(each.MonitoredItems) for each in data or ())

    async with Client(machine.url) as client:
        session = client.uaclient.session
        wanted = ua.CreateSubscriptionParameters()
        wanted.RequestedPublishingInterval = PERIOD * 1000
        wanted.RequestedMaxKeepAliveCount = 10
        wanted.RequestedLifetimeCount = 100
        wanted.MaxNotificationsPerPublish = 10_000
        wanted.PublishingEnabled = True
        created = await session.create_subscription(wanted, notified)
        items = ua.CreateMonitoredItemsParameters()
        items.SubscriptionId = created.SubscriptionId
        items.TimestampsToReturn = ua.TimestampsToReturn.Both
        items.ItemsToCreate = [_item(node, handle) for handle, node in enumerate(await _nodes(client))]
        await session.create_monitored_items(items)
        return await _each(lambda: count, seconds)


def _item(node: ua.NodeId, handle: int) -> ua.MonitoredItemCreateRequest:
    item = ua.MonitoredItemCreateRequest()
    item.ItemToMonitor.NodeId = node
    item.ItemToMonitor.AttributeId = AttributeIds.Value
    item.MonitoringMode = ua.MonitoringMode.Reporting
    item.RequestedParameters.ClientHandle = handle
    item.RequestedParameters.SamplingInterval = PERIOD * 1000
    item.RequestedParameters.QueueSize = 10
    return item


async def _nodes(client: Client) -> list[ua.NodeId]:
    index = await client.get_namespace_index("urn:onelot:bench")
    return [ua.NodeId(f"Tag{n}", index) for n in range(TAGS)]  # type: ignore[arg-type]


def _settle() -> None:
    """What is here is here to stay: as the edge does when it is up."""
    gc.collect()
    gc.freeze()


async def _each(count: Callable[[], int], seconds: float) -> float:
    """CPU µs of this process for each that is counted, once warm."""
    await asyncio.sleep(WARM_S)
    _settle()
    before, began = count(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - began) / (count() - before) * 1e6


async def _ours(machine: Moving, folder: Path, seconds: float) -> float:
    """CPU µs of each sample on its way to the disk, in this process."""
    at = device(machine.url, options={"security": "none"})
    async with (
        collecting(folder, load_profile(machine.profile), at) as collector,
        recorder_of(collector).running(),
    ):
        task = asyncio.create_task(collector.run())
        await asyncio.sleep(WARM_S)
        _settle()
        outbox = recorder_of(collector).outbox
        before, began = (await outbox.stats()).committed, time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - began
        samples = (await outbox.stats()).committed - before
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return used / samples * 1e6


async def _edge(machine: Moving, folder: Path, seconds: float, decoded: float) -> Figure:
    if lack := lacking("mosquitto"):
        return missing("whole edge", "µs/sample", lack)
    async with site(folder, {"lathe-1": ("bench/opcua", machine.url)}) as made:
        await made.start()
        await asyncio.sleep(3 + WARM_S)
        cost, rate = await per_reading(made, seconds)
    note = f"with link, broker and API; {rate:,.0f} samples/s; {cost / decoded:.2f} × decoding alone"
    return Figure("whole edge", cost, "µs/sample", note=note)

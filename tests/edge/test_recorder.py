"""The recorder: what waits is committed, also what is on its way when it ends."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from protocols.states import DeviceHeartbeat, Event
from protocols.values import Reading
from tests.edge.machines import T0, collecting, device, press, recorded, recorder_of, reported


async def until(met: Callable[[], bool]) -> None:
    for _ in range(1000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not met within 10 s")


async def test_a_commit_that_waits_for_the_disk_survives_an_orderly_stop(tmp_path: Path) -> None:
    async with collecting(tmp_path, press(), device()) as collector, asyncio.timeout(30):
        recorder = recorder_of(collector)
        heard: list[Event] = []
        recorder.on_events = heard.extend
        disk = threading.Event()
        beat = DeviceHeartbeat(T0, "press-1", True, T0, "")

        async def run() -> None:
            async with recorder.running():
                await asyncio.Event().wait()

        agent = asyncio.create_task(run())
        held = recorder.outbox.store.submit(lambda _: disk.wait(20))
        collector.deliver([Reading("parts", 7)])
        recorder.report([beat])
        await until(lambda: not recorder.rows.tags)  # the recorder has taken them
        agent.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        collector.deliver([Reading("parts", 8)])
        disk.set()
        await asyncio.wait([agent])
        assert held.result()
        assert not recorder.rows.tags
        assert [sample.value for _, sample in await recorded(collector)] == [7, 8]
        assert beat in await reported(collector)
        assert beat in heard

"""The devices of an edge start and stop one by one, also those that are hard of hearing."""

import asyncio
import contextlib
import dataclasses
from pathlib import Path

import pytest

from drivers.driver import Deliver, Options
from edge import devices
from edge.devices import Devices
from edge.machine import MachineWatch
from edge.recorder import Unheard
from edge.trial import Trial
from protocols.values import Reading
from tests.edge.logger_machine import LoggerDriver, LoggerMachine, profile
from tests.edge.machines import Ticks, collecting, device, press, recorded, recorder_of
from tests.edge.shops import until


class Deaf(LoggerDriver):
    """Loses its first cancellation, as ``wait_for`` of Python 3.11 may."""

    async def stream(self, deliver: Deliver) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().stream(deliver)
        await super().stream(deliver)


@pytest.mark.parametrize("how", ["one by one", "all together"])
async def test_a_driver_that_loses_a_cancellation_keeps_nobody_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(devices, "CANCEL_AGAIN", 0.01)
    machine = LoggerMachine({"load": 1.0})
    machine.reachable.set()
    at = profile()
    async with collecting(tmp_path, at, device("logger://here"), make=lambda: Deaf(machine, at)) as collector:
        all_ = Devices(Unheard())
        all_.show(collector)
        running = asyncio.create_task(all_.run())
        await until(lambda: collector.reads_well)
        async with asyncio.timeout(10):
            if how == "one by one":
                await all_.stop([collector])
                assert not running.done()
            running.cancel()
            await asyncio.wait([running])
        assert running.cancelled()


async def test_a_silent_machine_is_demoted_as_its_device_says(tmp_path: Path) -> None:
    machine, at = LoggerMachine({"load": 1.0}), profile()

    def make() -> LoggerDriver:
        return LoggerDriver(machine, at, Options(demote_after=3))

    async with collecting(tmp_path, at, device("logger://here"), make=make) as collector:
        waited: list[float] = []
        collector.jitter = lambda: waited.append(collector.tried_every) or 0.0  # type: ignore[func-returns-value]
        running = asyncio.create_task(collector.run())
        await until(lambda: len(waited) > 10)
        machine.reachable.set()
        await until(lambda: collector.reads_well)
        running.cancel()
        await asyncio.wait([running])
        assert waited[:3] == [0.0, 0.0, 2.0], "two attempts like any other, then less and less often"
        assert waited[3:8] == [4.0, 8.0, 16.0, 30.0, 30.0]
        assert collector.tried_every == 0.0, "it is there"


async def test_what_was_heard_on_trial_does_not_come_after_what_the_old_driver_read_later(
    tmp_path: Path,
) -> None:
    ticks = Ticks()
    async with collecting(tmp_path, press(), device(), ticks.clock()) as old:
        new = dataclasses.replace(old, machine=MachineWatch("press-1", old.profile, {}, lambda: "stop"))
        Trial(new)
        old.connected = new.connected = True
        old.deliver([Reading("parts", 1), Reading("load", 2.0)])
        ticks.pass_(1)
        new.deliver([Reading("parts", 1), Reading("load", 9.0)])
        ticks.pass_(1)
        old.deliver([Reading("parts", 2)])
        recorder = recorder_of(old)
        old.hand_over(new)
        new.join(recorder, old)
        ticks.pass_(1)
        new.deliver([Reading("parts", 2), Reading("load", 9.0)])
        found = [(name, sample.value) for name, sample in await recorded(new)]
        assert found == [("parts", 1), ("load", 2.0), ("parts", 2), ("load", 9.0)]

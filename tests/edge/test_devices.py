"""The devices of an edge start and stop one by one, also those that are hard of hearing."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from drivers.driver import Deliver
from edge import devices
from edge.devices import Devices
from edge.recorder import Unheard
from tests.edge.logger_machine import LoggerDriver, LoggerMachine, profile
from tests.edge.machines import collecting, device
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

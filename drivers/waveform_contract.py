"""What every driver that takes waveforms must do beside :mod:`drivers.contract`.

Subclass :class:`WaveformContract` in its place. The profile then has the waveform :data:`WAVEFORM` as well.
"""
# ruff: noqa: S101 - these are tests, shipped as a library

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from drivers.contract import DriverContract, Received, streaming
from drivers.driver import Captures, DeviceLost, ReadFailed
from drivers.simulator import ProfileServer

WAVEFORM = "wave"
"""The waveform of the contract profile: int16, 600 samples."""


class WaveformContract(DriverContract):
    """The contract of every driver, and what is asked of its blocks."""

    takes_blocks = True

    def test_a_block_comes_whole_in_its_type_and_as_it_is_now(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                assert isinstance(driver, Captures)
                for seed in range(3):
                    block = np.random.default_rng(seed).integers(-32_768, 32_768, 600).astype(np.int16)
                    server.set_block(WAVEFORM, block)
                    values = (await driver.capture(WAVEFORM)).values
                    assert values.dtype.newbyteorder("=") == block.dtype
                    assert np.array_equal(values, block)

        self.run(test)

    def test_a_block_beside_the_stream_disturbs_neither(self) -> None:
        async def test(server: ProfileServer) -> None:
            received = Received()
            async with self.driver(server.url) as driver, streaming(driver, received):
                assert isinstance(driver, Captures)
                block = np.arange(600, dtype=np.int16)
                server.set_block(WAVEFORM, block)
                for count in range(5):
                    server.set("count", count)
                    assert np.array_equal((await driver.capture(WAVEFORM)).values, block)
                await received.until(lambda: received.of("count")[-1].value == 4, "count = 4")
            assert not [r for r in received.readings if r.path == WAVEFORM], "a block does not stream"

        self.run(test)

    def test_a_block_of_a_machine_that_falls_silent_is_an_error_in_bounded_time(self) -> None:
        async def test(server: ProfileServer) -> None:
            async with self.driver(server.url) as driver:
                assert isinstance(driver, Captures)
                await driver.capture(WAVEFORM)
                server.silent = True
                with pytest.raises((DeviceLost, ReadFailed)):
                    async with asyncio.timeout(self.lost_within_s):
                        await driver.capture(WAVEFORM)

        self.run(test)

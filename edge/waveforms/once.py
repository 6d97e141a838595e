"""A waveform taken once, for somebody who looks whether its profile is right."""

from __future__ import annotations

import time
from typing import Any

from drivers.driver import Capability, Captures, Driver, ReadFailed
from drivers.profile.features import waveform_of
from drivers.profile.waveform import TURNS_IN_HZ
from edge.waveforms.making import Taken, made, unread
from protocols.values import Quality, Reading, Reason


async def taken_once(driver: Driver[Any], name: str) -> list[Reading]:
    """The numbers of a waveform's block now; what is wrong goes to the driver's problems, by number.

    Raises:
        DeviceLost: the machine does not answer.
    """
    tag, waveform = waveform_of(driver.profile, name)
    problem, readings = "", unread(name, waveform, Reason.DEVICE_FAILURE)
    if Capability.WAVEFORMS in driver.capabilities and isinstance(driver, Captures):
        try:
            captured = await driver.capture(name)
        except ReadFailed as error:
            problem = str(error)
        else:
            turns = await _turns(driver, waveform.shaft)
            taken = Taken(f"-/{name}", captured.values, time.time_ns() // 1000, "", turns)
            done = made(name, tag, waveform, taken)
            problem, readings = done.problem, done.readings
    else:
        problem = f"the driver {driver.profile.protocol} reads no arrays: remove the key waveform"
    if problem:
        driver.problems.update(dict.fromkeys((reading.path for reading in readings), problem))
    return readings


async def _turns(driver: Driver[Any], shaft: float | str | None) -> float:
    """Turns of the shaft a second; 0 where they cannot be read."""
    if not isinstance(shaft, str):
        return shaft or 0.0
    (speed,) = await driver.read([shaft])
    if speed.quality is Quality.BAD or not isinstance(speed.value, int | float):
        return 0.0
    return max(0.0, speed.value * TURNS_IN_HZ[driver.profile.tags[shaft].unit])

"""A vehicle belongs to no station: any station of its edge locks it, and no station stands still for it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import Driver
from drivers.profile.files import load_profile
from edge.control.machines import Facts
from edge.station import commands as asked
from edge.station.refusals import Refusal
from tests.edge.edges import Edge, edge_with_stations
from tests.edge.workcells import job_list, operation

PROFILE = load_profile(
    Path(__file__).parents[3] / "firmware_configs" / "profiles" / "virtual" / "agv-vda.yaml"
)


@dataclass
class Yard:
    """An edge whose one machine is a vehicle."""

    refused: list[str] = field(default_factory=list)

    def facts(self, device: str) -> Facts | None:
        return Facts(device, "AGV 1", PROFILE, True) if device == "agv-1" else None

    def driver(self, device: str) -> Driver[Any] | None:
        return None

    def refuse(self, device: str) -> None:
        self.refused.append(device)


@contextlib.asynccontextmanager
async def station(folder: Path, yard: Yard) -> AsyncIterator[Edge]:
    async with edge_with_stations(folder, devices={"agv-1": []}, machines=yard) as edge:
        edge.control.vehicles = ["agv-1"]
        yield edge


async def test_any_station_locks_a_vehicle_and_goes_on_working(tmp_path: Path) -> None:
    yard = Yard()
    async with station(tmp_path, yard) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        lock = asked.LockMachine(id="lock-0001", actor="K7", device="agv-1", reason="belt torn")
        await edge.stations.perform("brake-1", lock)
        assert yard.refused == ["agv-1"]
        await edge.stations.perform(
            "brake-1", asked.OpenRun(id="open-0001", actor="K7", operations=("op-1",))
        )
    async with station(tmp_path, yard) as edge:
        assert "belt torn" in edge.control.refuses("agv-1")
        other = asked.ReleaseLock(id="free-0001", actor="B2", device="agv-1")
        with pytest.raises(Refusal, match="K7"):
            await edge.stations.perform("brake-1", other)
        await edge.stations.perform("brake-1", asked.ReleaseLock(id="free-0002", actor="K7", device="agv-1"))
        await edge.stations.perform(
            "brake-1", asked.AcceptMachine(id="take-0001", actor="B2", device="agv-1")
        )
        assert edge.control.refuses("agv-1") == ""

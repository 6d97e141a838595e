"""A maintenance case with everything running: opened, planned, begun at the station without a broker, judged.

The service is killed in between; what was done at the station meanwhile arrives afterwards, once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.maintenance import cases
from cloud.maintenance.cases import Case
from cloud.maintenance.health.evidence import Evidence
from cloud.store.database import Database
from cloud.store.schema import migrate
from edge.client import EdgeClient, EdgeUnreachableError
from edge.station import commands as asked
from edge.station.refusals import Refusal
from edge.station.station_view import ControlView
from protocols.clock import Clock
from protocols.lifecycles import CaseState, LockState
from tests.system.machines import Press
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import until

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]

EDGE, PRESS = "north", "press-1"
UPKEEP = {
    "rules": [
        {
            "device": PRESS,
            "mode": "wear",
            "title": "Grease the bearing",
            "title_zh": "润滑轴承",
            "seconds": 600,
            "within_hours": 8,
            "steps": [{"text": "Lock and tag it", "text_zh": "上锁挂牌"}],
        }
    ]
}


@dataclass(slots=True)
class Floor:
    """The plant, and the station of its press as its operator sees it."""

    plant: Plant
    client: EdgeClient

    async def sees(self, holds: Callable[[ControlView], bool], what: str) -> ControlView:
        """The press at its station, once something about it holds."""

        async def look() -> ControlView | None:
            self.plant.check()
            try:
                view = await self.client.station(PRESS)
            except EdgeUnreachableError:
                return None
            return view.machines[0] if view.machines and holds(view.machines[0]) else None

        found = await until(look, what, 90)
        assert found is not None
        return found

    async def becomes(self, state: CaseState) -> dict[str, Any]:
        """The case as the API has it, once it is in a state."""

        async def look() -> dict[str, Any] | None:
            sheet: dict[str, Any] = await self.plant.get("/maintenance/cases/case-1")
            return sheet if sheet["case"]["state"] == state else None

        found = await until(look, f"the case is {state}", 90)
        assert found is not None
        return found

    async def act(self, kind: type[Any], number: int, *, actor: str = "K7", **fields: Any) -> None:
        await self.client.act(PRESS, kind(id=f"command-{number:04}", actor=actor, **fields))

    async def office(self, step: str, **said: Any) -> dict[str, Any]:
        answer = await self.plant.api("POST", f"/maintenance/cases/case-1/{step}", json=said)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed


def suspect(made: Plant) -> None:
    """What the service had found out before it was started here."""
    site_file = made.folder / "site/site.yaml"
    site = json.loads(site_file.read_text("utf-8")) | {"maintenance": UPKEEP}
    site_file.write_text(json.dumps(site), "utf-8")
    asset = site["edges"][0]["devices"][0]["asset"]
    now = Clock().now()
    seen = (Evidence("press-1/force", "processing", 8.0, 60.0, 40.0, 2.5),)
    case = Case("case-1", asset, PRESS, "wear", CaseState.OPEN, now, now, 41.0, "force is 60 kN", seen)
    made.ledger.parent.mkdir(parents=True, exist_ok=True)
    with Database(f"sqlite:///{made.ledger}") as database:
        migrate(database)
        database.write(lambda tx: cases.open_case(tx, case)).result()


async def test_a_case_from_its_opening_to_its_verdict(tmp_path: Path) -> None:
    press = Press()
    async with press, plant(tmp_path, {EDGE: [Machine(PRESS, "test/press", press.url)]}) as made:
        suspect(made)
        await made.start()
        edge = made.edges[EDGE]
        async with EdgeClient(edge.url, await edge.token()) as client:
            floor = Floor(made, client)
            await floor.office("acknowledge", note="heard it, too")
            await floor.office("plan")

            def has_a_place(machine: ControlView) -> bool:
                return bool(machine.orders) and machine.orders[0].order.start > 0

            machine = await floor.sees(has_a_place, "the order is at the station with its time")
            (view,) = machine.orders
            assert (view.order.title.zh, view.order.steps[0].en) == ("润滑轴承", "Lock and tag it")
            assert view.order.end <= view.order.bound

            # Neither broker nor service is there when it is begun.
            await asyncio.to_thread(made.broker.stop)
            await made.cloud.kill()
            await floor.act(asked.StartMaintenance, 1, case="case-1")
            machine = await floor.sees(lambda m: m.lock is LockState.LOCKED, "the press is locked")
            assert (machine.owner, machine.reason) == ("K7", "Grease the bearing")
            await edge.process.kill()
            edge.process.start()
            machine = await floor.sees(lambda m: bool(m.orders) and m.orders[0].since > 0, "it goes on")
            await floor.act(asked.ReportFinding, 2, case="case-1", found="bearing dry")
            with pytest.raises(Refusal, match="the lock is locked"):
                await floor.act(asked.AcceptMachine, 3, actor="P2", device=PRESS)
            await asyncio.to_thread(made.broker.start)
            made.cloud.start()
            await made.ready()

            sheet = await floor.becomes(CaseState.IN_WORK)
            refused = await made.api("POST", "/maintenance/cases/case-1/done", json={})
            assert refused.status_code == 422
            assert "press-1 is still locked: K7 releases it at press-1 (F10)" in refused.json()["detail"]
            await floor.act(asked.ReleaseLock, 4, device=PRESS)
            await floor.act(asked.AcceptMachine, 5, actor="P2", device=PRESS)
            sheet = await floor.becomes(CaseState.DONE)
            assert sheet["case"]["found"] == "bearing dry"
            closed = await floor.office("verdict", verdict="true", cause="no grease")
            assert (closed["state"], closed["verdict"]) == ("closed", "true")

            sheet = await floor.becomes(CaseState.CLOSED)
            told = [(entry["event"], entry["actor"]) for entry in sheet["journal"]]
            user = made.login()[0]
            assert told == [
                *(("open", "maintenance"), ("acknowledge", user), ("plan", user), ("start", "K7")),
                *(("find", "K7"), ("finish", "P2"), ("close", user)),
            ]
            (label,) = await made.get("/maintenance/labels")
            assert (label["failure"], label["cause"], label["found"]) == (True, "no grease", "bearing dry")
            (month,) = await made.get("/maintenance/precision")
            assert (month["true"], month["precision"]) == (1, 1.0)
            machine = await floor.sees(lambda m: m.lock is LockState.FREE, "the press is free")
            assert machine.orders == ()

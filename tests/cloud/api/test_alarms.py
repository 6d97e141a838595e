"""Alarms through the API: what stands by place and device, what was page by page."""

from __future__ import annotations

from pathlib import Path

from cloud.api.roles import Role
from cloud.ledger.machines import MachineEffects
from protocols.states import AlarmChanged, DeviceHeartbeat, Event
from tests.cloud.api.service import Door, opened

NOW = 1_700_000_000_000_000


async def tell(door: Door, *events: Event) -> None:
    await door.context.database.run(lambda tx: MachineEffects().states(tx, "machining", list(events), NOW))


def rise(number: int, device: str, severity: int) -> AlarmChanged:
    return AlarmChanged(NOW + number, device, f"E{number}", True, f"text {number}", severity, source="axis")


async def test_what_stands_is_found_by_place_and_device(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        await tell(
            door,
            *(rise(number, "laser-1", 100 * number) for number in range(5)),
            rise(9, "brake-1", 900),
            DeviceHeartbeat(NOW, "laser-1", True, NOW, standing=12, untold=31),
            AlarmChanged(NOW + 20, "laser-1", "E3", True, "text 3", 300, True, "axis"),
        )
        everything = (await viewer.get("/api/v1/alarms")).json()
        assert [alarm["alarm"] for alarm in everything["alarms"]] == ["E9", "E4", "E3", "E2", "E1", "E0"]
        assert (everything["more"], everything["untold"]) == (7, 31)
        few = (await viewer.get("/api/v1/alarms?workcell=laser-1&limit=2")).json()
        assert [alarm["alarm"] for alarm in few["alarms"]] == ["E4", "E3"]
        assert few["more"] == 10
        assert few["alarms"][1]["acknowledged"] == NOW + 20
        assert few["alarms"][1]["source"] == "axis"
        brake = (await viewer.get("/api/v1/alarms?device=brake-1")).json()
        assert [alarm["device"] for alarm in brake["alarms"]] == ["brake-1"]
        nothing = (await viewer.get("/api/v1/alarms?device=brake-1&workcell=laser-1")).json()
        assert nothing == {"alarms": [], "more": 0, "untold": 0}
        wrong = await viewer.get("/api/v1/alarms?workcell=lasr-1")
        assert wrong.status_code == 404
        assert "did you mean laser-1?" in wrong.json()["detail"]


async def test_history_has_a_cursor(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client(Role.VIEWER) as viewer:
        await tell(door, *(rise(number, "laser-1", 500) for number in range(5)))
        await tell(door, AlarmChanged(NOW + 9, "laser-1", "E4", False))
        seen, before = [], ""
        while True:
            page = (await viewer.get(f"/api/v1/alarms/history?workcell=laser-1&limit=2{before}")).json()
            seen += [(alarm["alarm"], alarm["cleared"]) for alarm in page["alarms"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        assert seen == [("E4", NOW + 9), ("E3", None), ("E2", None), ("E1", None), ("E0", None)]
        old = (await viewer.get(f"/api/v1/alarms/history?since={NOW + 10}")).json()
        assert [alarm["alarm"] for alarm in old["alarms"]] == ["E3", "E2", "E1", "E0"]

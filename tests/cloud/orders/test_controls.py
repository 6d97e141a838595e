"""The cloud's picture of locks and commands: it follows what edges tell, and says nothing back."""

from __future__ import annotations

from pathlib import Path

from cloud.dispatching.floor.floor import read_floor
from cloud.dispatching.keeping.outlook import inbox
from cloud.ledger import reading
from cloud.ledger.machines import MachineEffects
from cloud.orders.controls import ControlEffects
from cloud.orders.effects import OrderEffects
from cloud.store.database import Database
from protocols import actions as act
from protocols.documents import loads
from protocols.site import Site
from protocols.states import DeviceHeartbeat, Event
from tests.cloud.orders.shop import NOW_US, SECOND, site_text

PRESS = (
    "devices: [{id: press-1, asset: 00000000-0000-4000-8000-000000000099, profile: acme/press, "
    "url: modbus://127.0.0.1, workcells: [brake-1]}]"
)
SITE = loads(site_text().replace("devices: []", PRESS, 1), Site, "site.yaml")


def tell(database: Database, *events: act.Event, actor: str = "K7", at: int = 0) -> None:
    """An edge tells what happened, one second after the other."""
    actions = [
        act.Action(f"{actor}-{at}-{n}", NOW_US + (at + n) * SECOND, "brake-1", actor, event)
        for n, event in enumerate(events)
    ]

    def work(tx: object) -> None:
        for effects in (ControlEffects(), OrderEffects()):
            effects.actions(tx, "machining", actions, NOW_US)  # type: ignore[arg-type]

    database.write(work).result()


def known(database: Database) -> reading.MachineLock | None:
    beat: list[Event] = [DeviceHeartbeat(NOW_US, "press-1", True, NOW_US)]
    database.write(lambda tx: MachineEffects().states(tx, "machining", beat, NOW_US)).result()
    with database.read() as tx:
        (machine,) = reading.machines(tx)
    return machine.lock


def down(database: Database, after: int = 60) -> dict[str, str]:
    with database.read() as tx:
        floor = read_floor(tx, SITE, NOW_US + after * SECOND, 900)
    return {cell: found.reason for cell, found in floor.down.items()}


def test_a_locked_machine_is_down_for_the_planner_until_it_is_accepted(database: Database) -> None:
    tell(database, act.MachineLocked("press-1", "lens change"))
    lock = known(database)
    assert lock is not None
    assert (lock.state, lock.owner, lock.reason) == ("locked", "K7", "lens change")
    assert down(database) == {"brake-1": "locked by K7: lens change"}
    tell(database, act.LockReleased("press-1"), at=10)
    assert down(database) == {"brake-1": "waits to be accepted"}
    released = known(database)
    assert released is not None
    assert (released.owner, released.reason) == ("K7", "lens change")
    tell(database, act.MachineAccepted("press-1"), actor="P2", at=20)
    assert known(database) is None
    assert down(database) == {}


def test_what_comes_late_does_not_lock_a_free_machine_again(database: Database) -> None:
    tell(database, act.MachineLocked("press-1", "x"), act.LockReleased("press-1"), at=0)
    tell(database, act.MachineAccepted("press-1"), actor="P2", at=20)
    tell(database, act.MachineLocked("press-1", "older"), actor="M3", at=5)
    assert known(database) is None


def test_a_lock_released_in_its_owners_absence_is_told(database: Database) -> None:
    tell(database, act.MachineLocked("press-1", "x"), act.LockReleased("press-1", "M3"))
    with database.read() as tx:
        (entry,) = inbox(tx)
    assert entry.kind == "lock"
    assert "K7 and M3 in the absence" in entry.text


def test_an_unknown_command_needs_somebody_and_settles_itself(database: Database) -> None:
    tell(database, act.MachineCommandEnded("c-1", "press-1", "unknown", "no reply within 1 s"))
    with database.read() as tx:
        (entry,) = inbox(tx)
    assert "nobody knows whether a command to press-1 took effect (no reply within 1 s)" in entry.text
    tell(database, act.MachineCommandEnded("c-1", "press-1", "done", "P2 looked"), actor="P2", at=10)
    with database.read() as tx:
        assert not inbox(tx)


def test_the_journal_keeps_who_did_what_to_which_machine(database: Database, tmp_path: Path) -> None:
    command = act.MachineCommanded("c-1", "press-1", "write", "start", "true", "start", NOW_US, "M3")
    tell(database, command)
    with database.read() as tx:
        rows = tx.exec_driver_sql("SELECT actor, type, body, outcome FROM action").all()
    assert [(row.actor, row.type, row.outcome) for row in rows] == [("K7", "command.intended", "applied")]
    assert '"second":"M3"' in rows[0].body.replace(" ", "")

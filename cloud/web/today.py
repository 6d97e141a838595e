"""How much of today each machine has worked: the share of the time for which its state is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.ledger import reading
from protocols.site import Site
from protocols.states import ItemState
from protocols.values import MICROSECONDS


@dataclass(frozen=True, slots=True)
class Worked:
    """µs in which a machine was executing, of the µs in which its state was known."""

    executing: int = 0
    known: int = 0

    @property
    def share(self) -> float | None:
        """0…1; None when nothing is known yet."""
        return self.executing / self.known if self.known else None


def day_start(site: Site, now: int) -> int:
    """When the production day that ``now`` lies in began; µs UTC."""
    zone = ZoneInfo(site.calendar.timezone)
    hour, minute = map(int, site.calendar.day_starts.split(":"))
    local = datetime.fromtimestamp(now / MICROSECONDS, zone)
    start = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if start > local:
        start -= timedelta(days=1)
    return int(start.timestamp() * MICROSECONDS)


def worked(tx: Connection, site: Site, now: int) -> dict[str, Worked]:
    """What every machine that belongs to a workcell did today, by device."""
    begin = day_start(site, now)
    return {
        device.id: _worked(reading.machine_states(tx, device.id, begin, now), begin, now)
        for device in site.devices().values()
        if device.workcells
    }


def _worked(rows: list[reading.MachineStateRow], begin: int, now: int) -> Worked:
    executing = known = 0
    ends = [row.ts for row in rows[1:]] + [now]
    for row, end in zip(rows, ends, strict=False):
        if row.item_state == ItemState.NOT_AVAILABLE:
            continue
        length = end - max(row.ts, begin)
        known += length
        executing += length if row.item_state == ItemState.EXECUTING else 0
    return Worked(executing, known)


def together(machines: Mapping[str, Worked]) -> float | None:
    """The share of all machines together, 0…1; None when nothing is known yet."""
    found = machines.values()
    return Worked(sum(m.executing for m in found), sum(m.known for m in found)).share

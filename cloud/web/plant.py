"""The workcells of a site, as the page names them."""

from __future__ import annotations

from cloud.web.speech import ENGLISH, Speech
from protocols.site import Site


def plant(site: Site, say: Speech = ENGLISH) -> list[tuple[str, str]]:
    """Workcells as (id, title) in plant order."""
    return [(cell.id, say.title(cell)) for cell in site.workcells().values()]


def device_of(site: Site, cell: str) -> str:
    """The device that a workcell's tile shows: the first that counts its parts; empty where it has none."""
    there = [device for device in site.devices().values() if cell in device.workcells]
    return next((device.id for device in there if device.counts), there[0].id if there else "")

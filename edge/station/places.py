"""The stations that a site gives to an edge, as :class:`~edge.station.workcell.Place` has them."""

from __future__ import annotations

from collections.abc import Mapping

from edge.station.workcell import Place
from protocols.jobs import Text
from protocols.site import Site


def places(site: Site, edge: str) -> tuple[Place, ...]:
    """The stations that a site gives to an edge."""
    cells = site.workcells()
    return tuple(
        Place(
            id=cell.id,
            edge=edge,
            title=Text(cell.title, cell.title_zh or cell.title),
            kind=cell.kind,
            run=cell.run,
            capacity=cell.capacity,
            stop_reasons=_texts(site.stop_reasons),
            scrap_reasons=_texts(site.scrap_reasons),
            andon_topics=_texts(site.andon_topics),
            releasers=site.quality.release,
        )
        for cell in (cells[name] for name in site.edge(edge).workcells)
    )


def _texts(entries: Mapping[str, str]) -> dict[str, Text]:
    """``English | Chinese`` as words in both languages."""
    found = {}
    for code, words in entries.items():
        english, _, chinese = (part.strip() for part in words.partition("|"))
        found[code] = Text(english, chinese or english)
    return found

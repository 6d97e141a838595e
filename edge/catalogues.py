"""The catalogue of what an edge reads: numbered, kept and announced ahead of any sample that needs it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.config import Machine
from edge.outbox.numbering import keep_catalogue, number_tags
from edge.outbox.outbox import append_states
from edge.outbox.store import Store
from edge.tags import definitions
from protocols.catalogue import Catalogue, TagDefinition
from protocols.clock import Clock
from protocols.states import CatalogueAnnounced, Event


@dataclass(slots=True)
class Catalogues:
    """Catalogues of one edge. All of it raises OutboxFullError when the disk has no room."""

    edge: str
    store: Store
    clock: Clock
    also: Sequence[TagDefinition] = ()
    """Tags of machines beside those of their profiles, such as what a model says of them."""

    async def numbered(self, machine: Machine) -> Catalogue:
        """The tags of one machine with their numbers, new ones for new meanings; nothing is announced."""
        tags = self._tags([machine])
        return await self.store.run(lambda db: number_tags(db, self.edge, tags))

    async def announce(
        self, machines: Iterable[Machine], known: bytes, events: Sequence[Event] = ()
    ) -> bytes:
        """The hash of the catalogue of all machines, announced with ``events`` in one transaction.

        The catalogue whose hash is ``known`` is in force and is not announced again.
        """
        tags = self._tags(machines)
        now = self.clock.now()

        def work(db: sqlite3.Connection) -> bytes:
            catalogue = number_tags(db, self.edge, tags)
            content_hash = catalogue.content_hash()
            fresh: list[Event] = []
            if content_hash != known:
                keep_catalogue(db, catalogue, now)
                fresh.append(CatalogueAnnounced(content_hash, catalogue))
            if fresh or events:
                append_states(db, [*fresh, *events])
            return content_hash

        return await self.store.run(work)

    def _tags(self, machines: Iterable[Machine]) -> list[TagDefinition]:
        found = list(machines)
        known = {machine.device.id for machine in found}
        own = [tag for machine in found for tag in definitions(machine.device, machine.profile)]
        return [*own, *(tag for tag in self.also if tag.device in known)]

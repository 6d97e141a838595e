"""What edges say that they score their machines with, kept as it is ledgered."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, delete, insert, select

from cloud.hub import Hub, ModelsHeldAtEdge
from cloud.maintenance.rul.tables import EDGE_MODEL
from cloud.store.database import after_commit
from protocols.actions import Action
from protocols.states import Event, ModelsHeld


class Holding(msgspec.Struct, frozen=True):
    """The model of one machine at its edge, as the edge told it at ``told`` (times in µs UTC).

    ``sha256`` is empty where nothing scores the machine there. ``file``: ``edge.yaml`` names it. ``refused``
    is the hash of the model that the service sent and that is not used, and ``why``. ``life`` is when the
    life began there; 0: that was never said.
    """

    edge: str
    device: str
    deployment: str
    sha256: str
    since: int
    file: bool
    refused: str
    why: str
    life: int
    told: int


_COLUMNS = [EDGE_MODEL.c[name] for name in Holding.__struct_fields__]


class HoldingEffects:
    """Effects of the ``states`` lane: the newest word of an edge replaces the one before, whole."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub

    def actions(self, tx: Connection, edge: str, actions: list[Action], received: int) -> None:
        """What people do has no effect here."""

    def states(self, tx: Connection, edge: str, events: list[Event], received: int) -> None:
        """Keep what the edge says that it holds."""
        said = [event for event in events if isinstance(event, ModelsHeld)]
        if not said:
            return
        newest = said[-1]
        tx.execute(delete(EDGE_MODEL).where(EDGE_MODEL.c.edge == edge))
        rows = [
            {
                "edge": edge,
                "device": held.device[:32],
                "deployment": newest.deployment[:64],
                "sha256": held.sha256[:64],
                "since": held.since,
                "file": held.file,
                "refused": held.refused[:64],
                "why": held.why,
                "life": held.life,
                "told": newest.ts,
            }
            for held in {each.device: each for each in newest.machines}.values()
        ]
        if rows:
            tx.execute(insert(EDGE_MODEL), rows)
        if (hub := self._hub) is not None:
            after_commit(tx, lambda: hub.publish(ModelsHeldAtEdge(edge)))


def holdings(tx: Connection, edge: str | None = None) -> list[Holding]:
    """What edges hold, or one of them, by edge and device."""
    query = select(*_COLUMNS).order_by(EDGE_MODEL.c.edge, EDGE_MODEL.c.device)
    if edge is not None:
        query = query.where(EDGE_MODEL.c.edge == edge)
    return [Holding(**row) for row in tx.execute(query).mappings()]


def about(found: list[Holding], sha256: str) -> list[Holding]:
    """Those that use a model, or refuse it."""
    return [one for one in found if sha256 in (one.sha256, one.refused)]


def words(one: Holding, sha256: str, of: Mapping[str, str]) -> str:
    """What an edge says of a model, in words; ``of`` has the names of models by hash."""
    if one.refused == sha256:
        instead = of.get(one.sha256, one.sha256[:12])
        goes_on = f"; it goes on with {instead}" if one.sha256 else ""
        return f"{one.edge} refuses it for {one.device}: {one.why}{goes_on}"
    origin = " (named in edge.yaml)" if one.file else ""
    return f"{one.edge} scores {one.device} with it{origin}"

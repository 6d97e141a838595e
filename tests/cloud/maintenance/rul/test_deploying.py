"""What the service says to an edge of its models: once, again when it opens, in parts when it asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection

from cloud.hub import EdgeOpened, Hub, ModelsChanged, StatesLedgered
from cloud.maintenance.rul import deploying, holdings, lives, model_sheets, registry
from cloud.maintenance.rul.deploying import ModelDeployment
from cloud.maintenance.rul.holdings import HoldingEffects
from cloud.publisher import Publisher
from protocols.clock import Clock
from protocols.documents import loads
from protocols.lanes import Down, down
from protocols.prognostics import deployment, lifeline, model_file
from protocols.prognostics.deployment import Deployment, Part
from protocols.site import Site
from protocols.states import ModelHeld, ModelsHeld
from protocols.values import MICROSECONDS
from tests.cloud.maintenance.rul import hall, signed
from tests.cloud.maintenance.rul.hall import ASSET, START, Hall
from tests.edge.test_config import SITE

EDGE = "machining"
PLANT = loads(SITE.replace("11111111-1111-1111-1111-111111111115", ASSET), Site, "site.yaml")


@dataclass(slots=True)
class Office:
    """The running deployment, and all that it sent."""

    hall: Hall
    sent: list[Deployment | Part] = field(default_factory=list)

    @property
    def said(self) -> list[Deployment]:
        return [one for one in self.sent if isinstance(one, Deployment)]

    @property
    def parts(self) -> list[Part]:
        return [one for one in self.sent if isinstance(one, Part)]

    def opened(self) -> None:
        """The edge opens a session; the machines' samples from before are there already."""
        self.hall.hub.publish(EdgeOpened(EDGE))

    async def tells(self, *held: ModelHeld, wants: tuple[str, ...] = ()) -> None:
        """The edge answers the newest deployment."""
        event = ModelsHeld(START, self.said[-1].id, held, wants)

        def work(tx: Connection) -> None:
            HoldingEffects().states(tx, EDGE, [event], START)

        await self.hall.database.run(work)
        self.hall.hub.publish(StatesLedgered(EDGE, [event]))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def office(folder: Path) -> AsyncIterator[tuple[Office, Publisher]]:
    async with hall.running(folder) as running:
        made = Office(running)

        def send(topic: str, payload: bytes) -> None:
            assert topic == down(EDGE, Down.MODELS)
            made.sent.append(deployment.decode(payload))

        clock = Clock(wall_ns=lambda: (START + 3600 * MICROSECONDS) * 1000, elapsed_ns=time.monotonic_ns)
        publisher = Publisher(send, running.hub, clock, {})
        part = ModelDeployment(running.database, running.hub, publisher, running.service, PLANT, clock)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(part.run())
            await made.until(lambda: _subscribed(running.hub))
            yield made, publisher
            task.cancel()


def _subscribed(hub: Hub) -> bool:
    return hub.wanted(EdgeOpened) and hub.wanted(StatesLedgered)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploying, "LOOK", 0.01)
    monkeypatch.setattr(deploying, "PACE", 0.0)


SHA = model_file.identity(signed.data())
HELD = ModelHeld("press-1", SHA, START)


async def test_an_edge_is_told_what_to_score_with_and_asked_for_parts_gets_them(tmp_path: Path) -> None:
    async with office(tmp_path) as (made, publisher):
        await made.hall.use(signed.model())
        made.hall.tell(hall.batch(hall.cycles(20)))
        await made.hall.rows(19)
        await made.until(lambda: bool(made.said))
        made.opened()
        await made.until(lambda: len(made.said) == 2)
        said = made.said[-1]
        assert publisher.unconfirmed() == {EDGE: 1}
        await made.tells(ModelHeld("press-1"), wants=(SHA,))
        await made.until(lambda: bool(made.parts) and len(made.parts) == made.parts[0].count)
        assert publisher.unconfirmed() == {EDGE: 1}
        await made.tells(HELD)
        await made.until(lambda: not publisher.unconfirmed())
        made.hall.hub.publish(ModelsChanged())
        made.opened()
        await made.until(lambda: len(made.said) == 3)

    (one,) = said.machines
    assert (one.device, one.asset, one.sha256) == ("press-1", ASSET, SHA)
    assert b"".join(part.data for part in made.parts) == signed.data()
    assert one.size == len(signed.data())
    found = deployment.begun(one.beginning)
    assert len(lifeline.unpacked(found.stretch).rows) == 19
    assert found.row
    assert made.said[-1].machines[0].beginning == b"", "the edge has it"
    assert made.said[-1].id == said.id


async def test_going_back_retiring_and_renewing_follow(tmp_path: Path) -> None:
    second = model_file.identity(signed.data(2))
    async with office(tmp_path) as (made, publisher):
        await made.hall.use(signed.model())
        await made.until(lambda: len(made.said) == 1)
        await made.tells(HELD)
        await made.hall.use(signed.model(2), name="two", now=5)
        await made.until(lambda: made.said[-1].machines[0].sha256 == second)
        await made.tells(ModelHeld("press-1", SHA, START, refused=second, why="signed by key 1f2e"))
        await made.until(lambda: not publisher.unconfirmed())
        with made.hall.database.read() as tx:
            devices = PLANT.devices()
            (sheet,) = [one for one in model_sheets.sheets(tx, devices, {}) if one.version.id == "two"]
        await made.hall.database.run(
            lambda tx: registry.roll_back(tx, "acme/press", 9, "ann", "it cries wolf")
        )
        made.hall.hub.publish(ModelsChanged())
        await made.until(lambda: made.said[-1].machines[0].sha256 == SHA)
        await made.hall.database.run(lambda tx: lives.renew(tx, ASSET, START + 5, "ann", "new spindle"))
        made.hall.hub.publish(ModelsChanged())
        await made.until(lambda: made.said[-1].renewed == {"press-1": START + 5})
        await made.hall.database.run(lambda tx: registry.retire(tx, "one", 10, "ann", "no good"))
        made.hall.hub.publish(ModelsChanged())
        await made.until(lambda: not made.said[-1].machines)

    assert "machining refuses it for press-1: signed by key 1f2e; it goes on with spindle" in sheet.says
    assert all(one.id != other.id for one, other in pairwise(made.said)), "nothing was said twice"


async def test_an_edge_with_nothing_to_score_and_a_foreign_edge_hear_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as (made, publisher):
        made.opened()
        made.hall.hub.publish(EdgeOpened("of-another-site"))
        made.hall.hub.publish(ModelsChanged())
        await made.hall.use(signed.model())
        await made.until(lambda: bool(made.said))
        event = ModelsHeld(START, "another", (HELD,))
        made.hall.hub.publish(StatesLedgered(EDGE, [event]))
        await asyncio.sleep(0.05)
        assert publisher.unconfirmed() == {EDGE: 1}, "an answer to something else confirms nothing"
    assert len(made.said) == 1


async def test_the_newest_word_of_an_edge_replaces_the_one_before(tmp_path: Path) -> None:
    async with office(tmp_path) as (made, _):
        await made.hall.use(signed.model())
        await made.until(lambda: bool(made.said))
        await made.tells(HELD, ModelHeld("press-2", file=True, sha256="ab" * 32))
        await made.tells(HELD)
        found = await made.hall.database.query(holdings.holdings)
    assert [(one.edge, one.device, one.sha256) for one in found] == [(EDGE, "press-1", SHA)]

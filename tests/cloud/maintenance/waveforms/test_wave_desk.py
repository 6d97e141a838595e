"""From a question to a block that is here, over a real ledger."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud import publisher as publishing
from cloud.hub import Hub, StatesLedgered
from cloud.ledger.ledger import Ledger, prepare
from cloud.maintenance.waveforms import desk as desks
from cloud.maintenance.waveforms.desk import UnknownWaveformError, WaveformDesk
from cloud.maintenance.waveforms.store import Asked, Question, WaveformStore
from cloud.publisher import Publisher
from cloud.store.database import Database
from cloud.store.schema import import_tables
from protocols.clock import Clock
from protocols.documents import load
from protocols.lanes import Down, Lane, down
from protocols.site import Site
from protocols.states import Dropped
from protocols.waveforms.messages import Wanted, decode_wanted
from tests.cloud.edges import batch
from tests.cloud.maintenance.waveforms.wave_answers import PATH, T0, answer, block

SITE = load(Path(__file__).parents[4] / "firmware_configs/sites/demo/site.yaml", Site)


@dataclass(slots=True)
class Plant:
    """A desk with its database, and an edge that hears what is sent to it."""

    database: Database
    hub: Hub
    ns: list[int]
    desk: WaveformDesk
    sent: list[Wanted]
    ledger: Ledger = field(init=False)
    seq: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger([], lambda *_: None, self.hub)

    def arrive(self, blobs: list[bytes]) -> None:
        """The edge's batches are ledgered."""
        for blob in blobs:
            self.seq += 1
            prepared = prepare("machining", batch(Lane.BULK, self.seq, blob), T0)

            def work(tx: object, prepared: object = prepared) -> None:
                with self.ledger.writing(tx, T0) as writer:  # type: ignore[arg-type]
                    writer.commit(prepared)  # type: ignore[arg-type]

            self.database.write(work).result()

    async def became(self, question: Question, state: Asked) -> Question:
        async with asyncio.timeout(20):
            while True:
                found = await self.desk.question(question.id)
                if found is not None and found.state is state:
                    return found
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def plant(folder: Path) -> AsyncIterator[Plant]:
    """Everything but the network. The edge ``machining`` is there."""
    import_tables()
    sent: list[Wanted] = []
    hub, ns = Hub(), [T0 * 1000]
    clock = Clock(lambda: ns[0], lambda: ns[0])
    heard = {"machining": T0 + 10**12}

    def send(topic: str, payload: bytes) -> None:
        if topic == down("machining", Down.WAVEFORM):
            sent.append(decode_wanted(payload))

    with Database(f"sqlite:///{folder / 'cloud.db'}") as database:
        database.create_all()
        store = WaveformStore(folder / "waveforms.db")
        store.open()
        ids = iter(f"q{n}" for n in range(1, 100))
        publisher = Publisher(send, hub, clock, heard)
        desk = WaveformDesk(store, database, hub, publisher, SITE, clock, new_id=lambda: next(ids))
        try:
            yield Plant(database, hub, ns, desk, sent)
        finally:
            store.close()


@contextlib.asynccontextmanager
async def running(there: Plant) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(there.desk.run())
        while not there.hub.wanted(StatesLedgered):  # noqa: ASYNC110 - it subscribes when it is ready
            await asyncio.sleep(0.001)
        try:
            yield
        finally:
            task.cancel()


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - the condition is a test's
            await asyncio.sleep(0.01)


async def test_a_question_goes_to_its_edge_and_its_answer_is_kept(tmp_path: Path) -> None:
    async with plant(tmp_path) as there, running(there):
        question = await there.desk.ask(PATH, T0, T0, 1, "p1")
        assert (question.edge, question.state) == ("machining", Asked.ASKED)
        assert there.sent == [Wanted("q1", PATH, T0, T0, 1)]
        assert there.desk.publisher.unconfirmed() == {"machining": 1}
        there.arrive(answer("q1", block()))
        found = await there.became(question, Asked.HERE)
        assert found.blocks == [T0]
        assert await there.desk.nearest(PATH, T0 + 10) == block()
        assert there.desk.publisher.unconfirmed() == {}


async def test_a_question_is_asked_again_until_it_is_answered_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "RESEND", 0.0)
    async with plant(tmp_path) as there:
        await there.desk.ask(PATH, T0, T0, 1, "p1")
        there.desk.publisher.opened("machining")
        assert [wanted.id for wanted in there.sent] == ["q1", "q1"]
    async with plant(tmp_path) as there, running(there):
        await until(lambda: [wanted.id for wanted in there.sent] == ["q1"])
        there.arrive(answer("q1", why="overwritten: the edge keeps blocks from then on"))
        question = there.desk.store.question("q1")
        assert question is not None
        found = await there.became(question, Asked.NONE)
        assert found.why.startswith("overwritten")


async def test_what_was_ledgered_while_nobody_looked_is_taken_at_the_start(tmp_path: Path) -> None:
    async with plant(tmp_path) as there:
        question = await there.desk.ask(PATH, T0, T0, 1, "p1")
        there.arrive(answer("q1", block()))
        async with running(there):
            await there.became(question, Asked.HERE)


async def test_a_device_that_the_site_does_not_have(tmp_path: Path) -> None:
    async with plant(tmp_path) as there:
        with pytest.raises(UnknownWaveformError, match=r'"lasr-1" is not one of .*did you mean laser-1'):
            await there.desk.ask("lasr-1/drive", T0, T0, 1, "p1")


async def test_what_the_edge_had_to_give_up_is_said(tmp_path: Path) -> None:
    async with plant(tmp_path) as there, running(there):
        question = await there.desk.ask(PATH, T0, T0, 1, "p1")
        tombstone = Dropped(b"", Lane.BULK, 1, 3, T0, T0, 0, {}, b"", "dropped: the outbox is full")
        there.hub.publish(StatesLedgered("coating", [tombstone]))
        there.hub.publish(StatesLedgered("machining", [tombstone]))
        found = await there.became(question, Asked.LOST)
        assert found.why == "given up at the edge (dropped: the outbox is full): ask again"
        assert (await there.desk.ask(PATH, T0, T0, 1, "p1")).id == "q2"


async def test_a_question_that_nobody_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "TIDY", 0.02)
    async with plant(tmp_path) as there, running(there):
        question = await there.desk.ask(PATH, T0, T0, 1, "p1")
        there.ns[0] += 25 * 3600 * 10**9
        found = await there.became(question, Asked.LOST)
        assert "has not answered within 24 h: ask again" in found.why
        assert there.desk.publisher.unconfirmed() == {}


async def test_noise_on_the_bulk_lane_is_quarantined_and_stops_nothing(tmp_path: Path) -> None:
    async with plant(tmp_path) as there, running(there):
        question = await there.desk.ask(PATH, T0, T0, 1, "p1")
        there.arrive([b"noise", *answer("q1", block())])
        await there.became(question, Asked.HERE)
        with there.database.read() as tx:
            from sqlalchemy import select

            from cloud.ledger import tables

            reasons = list(tx.scalars(select(tables.quarantine.c.reason)))
        assert len(reasons) == 1 and "blob version" in reasons[0]

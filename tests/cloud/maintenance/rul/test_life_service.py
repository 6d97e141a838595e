"""Live scores are those of the file to the last bit, whatever the link and the service went through."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from functools import partial
from math import nan
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from cloud import hub
from cloud.hub import ModelsChanged
from cloud.ledger import tables
from cloud.ledger.source import ProjectionSource
from cloud.ledger.tags import TagMap
from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.lives import LifeState, ScoredRow
from cloud.maintenance.rul.registry import DriftKind
from cloud.maintenance.rul.service import TRIES
from cloud.orders.tables import exception_inbox
from protocols.prognostics.lifeline import replayed
from protocols.prognostics.model import Prognoser
from protocols.values import MICROSECONDS
from tests.cloud.maintenance.rul import signed
from tests.cloud.maintenance.rul.hall import ASSET, START, Cycle, batch, cycles, running

Bits = list[tuple[bytes, ...]]


def of_file(measured: Sequence[Cycle], seed: int = 1) -> Bits:
    """The scores after every cycle, as ``onelot maintenance score --every`` works them out."""
    prognoser = Prognoser(signed.model(seed))
    history, found = prognoser.new(), []
    for speed, *signals in measured:
        prognoser.take(history, [speed], signals)
        one = prognoser.prognosis(history)
        found.append((one.life, one.lower, one.upper))
    return bits(found)


def bits(scores: Sequence[tuple[float, float, float | None]]) -> Bits:
    return [tuple(struct.pack("<d", nan if n is None else n) for n in one) for one in scores]


def of_rows(rows: Sequence[ScoredRow]) -> Bits:
    return bits([(row.life, row.lower, row.upper) for row in rows])


async def test_live_scores_are_those_of_the_file_over_a_restart_too(tmp_path: Path) -> None:
    """The score of a cycle comes with the first sample after it: the last one still waits for its own."""
    measured = cycles(150)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        for at in range(0, 100, 7):
            hall.tell(batch(measured[at : min(at + 7, 100)], at + 1))
        rows = await hall.rows(99)
        shown = await hall.shown()
        assert of_rows(rows) == of_file(measured)[:99]
    async with running(tmp_path) as hall:
        await hall.until(lambda: hall.following("one"))
        hall.tell(batch(measured[100:], 101))
        rows = await hall.rows(149)
        with hall.database.read() as tx:
            stretch = lives.newest(tx, ASSET, "one", 0)

    assert of_rows(rows) == of_file(measured)[:149]
    assert [row.count for row in rows] == [float(n) for n in range(1, 150)]
    assert [row.end for row in rows] == [START + n * MICROSECONDS for n in range(1, 150)]
    assert shown is not None
    assert (shown.state, shown.age, shown.life) == (LifeState.SCORED, 99, rows[98].life)
    assert stretch is not None
    again, _ = replayed(Prognoser(signed.model()), stretch)
    assert [(s.life, s.lower, s.upper) for s in again] == [
        (row.life, row.lower, row.upper) for row in rows[-len(again) :]
    ]


async def test_what_came_late_after_an_outage_is_worked_through(tmp_path: Path) -> None:
    """Cycles 61 to 90 lie at the edge while the link is cut; live ones come before them when it is back."""
    measured = cycles(130)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured[:60], 1))
        await hall.rows(59)
        hall.tell(batch(measured[90:94], 91))
        hall.opened()
        hall.tell(batch(measured[94:100], 95))
        for at in (60, 75):
            hall.tell(batch(measured[at : at + 15], at + 1, historical=True))
        hall.tell(batch(measured[100:], 101))
        rows = await hall.rows(129)

    assert [row.count for row in rows] == [float(n) for n in range(1, 130)]
    assert of_rows(rows) == of_file(measured)[:129]
    assert not any(row.missed for row in rows)


async def test_samples_that_were_too_many_to_wait_are_read_from_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the service is busy more comes than may wait: the hub keeps the newest of each tag alone."""
    monkeypatch.setattr(hub, "MAX_SAMPLES", 100)
    measured = cycles(130)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        for at in range(0, 125, 5):  # 25 samples a batch, and nobody takes them meanwhile
            hall.tell(batch(measured[at : at + 5], at + 1))
        await hall.rows(124)
        hall.tell(batch(measured[125:], 126))
        rows = await hall.rows(129)

    assert of_rows(rows) == of_file(measured)[:129]
    assert not any(row.missed for row in rows)


async def test_the_history_is_not_read_before_it_has_what_is_ledgered(tmp_path: Path) -> None:
    """On a busy machine it comes late by more than anybody waits: rows would count as missed for ever."""
    measured = cycles(90)

    def ledgered(tx: Connection) -> None:
        row = {"edge": "hall", "stream": b"s" * 16, "lane": "telemetry", "seq": 1, "digest": b"d" * 16}
        more = {"count": 100, "historical": True, "decodable": True, "received": 1, "blob": b"b"}
        tx.execute(tables.batch.insert().values(id=7, **row, **more))

    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured[:60], 1))
        await hall.rows(59)
        await hall.database.run(ledgered)
        hall.hub.publish(batch(measured[60:80], 61, historical=True))
        hall.tell(batch(measured[80:], 81))
        await hall.until(lambda: not hall.following("one"))
        for _ in range(5 * TRIES):
            await hall.service.keep()
        assert not hall.following("one"), "the history has not come so far"
        hall.store(batch(measured[60:80], 61))
        source = ProjectionSource(hall.database, TagMap(hall.database), lambda _edge, _hash: None)
        await asyncio.to_thread(source.save, 7, ())
        rows = await hall.rows(89)

    assert of_rows(rows) == of_file(measured)[:89]
    assert not any(row.missed for row in rows)


async def test_what_lies_far_back_is_worked_through_too(tmp_path: Path) -> None:
    """The gap is in a stretch that was stored long ago: what was scored after it is scored again."""
    measured = cycles(330)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured[:40], 1))
        hall.tell(batch(measured[70:], 71))
        with_gap = await hall.rows(299)
        hall.tell(batch(measured[40:70], 41, historical=True))
        rows = await hall.rows(329)

    assert with_gap[40].missed == 30
    assert of_rows(rows) == of_file(measured)[:329]


async def test_a_gap_that_stays_ages_the_machine(tmp_path: Path) -> None:
    measured = cycles(60)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured[:30], 1))
        hall.tell(batch(measured[40:], 41))
        rows = await hall.rows(49)
        shown = await hall.shown()
    assert [row.missed for row in rows if row.missed] == [10]
    assert shown is not None
    assert shown.age == 59


async def test_a_model_begins_with_what_the_history_has(tmp_path: Path) -> None:
    measured = cycles(80)
    async with running(tmp_path) as hall:
        hall.tell(batch(measured[:50], 1))
        await hall.use(signed.model())
        hall.tell(batch(measured[50:], 51))
        rows = await hall.rows(79)
    assert of_rows(rows) == of_file(measured)[:79]


async def test_a_shadow_alone_is_recorded_and_shows_nothing(tmp_path: Path) -> None:
    measured = cycles(20)
    async with running(tmp_path) as hall:
        await hall.use(signed.model(2), active=False, name="shade")
        hall.tell(batch(measured, 1))
        shade = await hall.rows(19, "shade")
        assert await hall.shown() is None
    assert of_rows(shade) == of_file(measured, seed=2)[:19]


async def test_a_shadow_is_scored_beside_the_active_one_and_compared(tmp_path: Path) -> None:
    measured = cycles(60)
    async with running(tmp_path) as hall:
        await hall.use(signed.model(1))
        hall.tell(batch(measured[:20], 1))
        await hall.rows(19)
        await hall.use(signed.model(2), active=False, name="shade")
        hall.tell(batch(measured[20:], 21))
        rows, shade = await hall.rows(59), await hall.rows(59, "shade")
        shown = await hall.shown()
        version = await hall.database.query(partial(registry.version, version_id="shade"))

    assert of_rows(shade) == of_file(measured, seed=2)[:59]
    assert shown is not None
    assert (shown.version, shown.life) == ("one", rows[-1].life)
    assert version.shadow_scores == 40, "what was read back from the history is not compared"
    apart = [abs(a.life - b.life) for a, b in zip(rows[19:], shade[19:], strict=True)]
    assert 0 < version.shadow_difference <= max(apart)


async def test_an_unknown_regime_freezes_the_life_and_says_so(tmp_path: Path) -> None:
    measured = cycles(40, strange=range(30, 40))
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured, 1))
        rows = await hall.rows(39)
        shown = await hall.shown()
        assert shown is not None
        assert (shown.state, shown.says) == (LifeState.FROZEN, "the model does not know this regime")
        assert (shown.life, shown.judged) == (rows[29].life, rows[29].end)
        assert (shown.age, rows[-1].regime) == (39, -1)
        hall.tell(batch(cycles(5, seed=9), 41))
        await hall.rows(44)
        shown = await hall.shown()
    assert shown is not None
    assert (shown.state, shown.age) == (LifeState.SCORED, 44)


async def test_a_sensor_that_cannot_be_believed_freezes_the_life(tmp_path: Path) -> None:
    measured = cycles(60)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured[:30], 1))
        rows = await hall.rows(29)
        hall.faults[:] = [("vibration", "has not changed"), ("coolant", "gives no good value")]
        hall.tell(batch(measured[30:50], 31))
        await hall.rows(49)
        frozen = await hall.shown()
        hall.faults[:] = [("coolant", "gives no good value")]
        hall.tell(batch(measured[50:], 51))
        after = await hall.rows(59)
        shown = await hall.shown()

    assert frozen is not None
    assert (frozen.state, frozen.says) == (LifeState.FROZEN, "vibration has not changed")
    assert frozen.judged == rows[-1].end
    assert frozen.age == 49
    assert shown is not None, "coolant is no tag of the model"
    assert (shown.state, shown.life) == (LifeState.SCORED, after[-1].life)


async def test_a_repair_lets_the_life_begin_anew(tmp_path: Path) -> None:
    """The counter of the machine goes on; its life does not."""
    measured, anew = cycles(30), cycles(40, seed=8)
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
        hall.tell(batch(measured, 1))
        await hall.rows(29)
        since = START + 30 * MICROSECONDS + 1
        await hall.database.run(lambda tx: lives.renew(tx, ASSET, since, "p1", "new spindle"))
        hall.hub.publish(ModelsChanged())
        await hall.until(lambda: hall.service._followers[ASSET, "one"].since == since)
        hall.tell(batch(anew, 31))
        rows = await hall.rows(29 + 39)
        shown = await hall.shown()
    assert of_rows(rows[-39:]) == of_file(anew)[:39]
    assert shown is not None
    assert (shown.age, shown.since) == (39, since)


async def test_drift_is_told_once_to_people_and_is_no_case(tmp_path: Path) -> None:
    """The training knew values around 0 spreads; this machine lies far beyond."""
    expected = tuple(tuple(n / 4 - 2.0 for n in range(17)) for _ in range(3))
    model = replace(signed.model(), expected=expected)
    model = replace(model, training=replace(model.training, assets=12, rows=12 * 250))
    measured = [(s, v + 3.0, t, c) for s, v, t, c in cycles(400)]
    async with running(tmp_path) as hall:
        await hall.use(model)
        hall.tell(batch(measured[:240], 1))
        await hall.rows(239)
        early = await hall.database.query(partial(registry.version, version_id="one"))
        hall.tell(batch(measured[240:], 241))
        await hall.rows(399)
        told = await hall.database.query(partial(registry.version, version_id="one"))
        with hall.database.read() as tx:
            notes = [row.text for row in tx.execute(exception_inbox.select())]

    assert early.drift_kind is DriftKind.NONE, "239 rows are less than a life of the training"
    assert told.drift_kind is DriftKind.SIGNALS
    assert "vibration is spread otherwise than in the training" in told.drift_text
    assert len(notes) == 1
    assert "No machine is suspected" in notes[0]


async def test_a_model_whose_key_is_trusted_no_more_is_not_used(tmp_path: Path) -> None:
    async with running(tmp_path) as hall:
        await hall.use(signed.model())
    async with running(tmp_path) as hall:
        hall.service.trusted = {}
        hall.hub.publish(ModelsChanged())
        hall.service.prognosers.clear()
        hall.service._followers.clear()
        hall.hub.publish(ModelsChanged())
        await hall.until(lambda: bool(hall.service.refused))
        assert "trusted here: none" in hall.service.refused["one"]
        assert await hall.shown() is None

"""A hold that is opened at a station stops the next one at once, network or not, until it is released."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace as having
from pathlib import Path

import pytest
from msgspec.structs import replace

from edge.station import commands as asked
from edge.station.refusals import Refusal
from protocols import actions as did
from protocols.inspection import Held
from protocols.jobs import JobList, JobOperation
from tests.edge.edges import Edge, edge_with_stations
from tests.edge.test_inspection import FLANGE, MEASURE
from tests.edge.workcells import PLACE, STEPS, T0, operation, predecessor

BRAKE = having(PLACE, releasers=("S1", "q7"))
WELD, PACK = having(BRAKE, id="weld-1"), having(BRAKE, id="pack-1")
RUN, BAD = "run-00001", "measured-1"


def jobs(version: int = 1, *, holds: tuple[str, ...] = (), releases: tuple[str, ...] = ()) -> JobList:
    """Bend, weld, pack of one lot, with another lot to weld."""
    bent = replace(operation("bend", steps=STEPS), inspection=(FLANGE,))
    weld = operation("weld", workcell="weld-1", predecessors=[predecessor("bend", edge="machining")])
    pack = operation("pack", workcell="pack-1", predecessors=[predecessor("weld", edge="machining")])
    lot = tuple(replace(each, job="A-1") for each in (bent, weld, pack))
    other = replace(operation("other", workcell="weld-1"), job="A-2")
    return JobList("machining", version, T0, (*lot, other), holds=holds, releases=releases)


@asynccontextmanager
async def at_work(folder: Path, *, again: bool = False) -> AsyncIterator[Edge]:
    async with edge_with_stations(folder, places=(BRAKE, WELD, PACK)) as edge:
        if not again:
            await edge.stations.jobs_received(jobs())
            begin = asked.OpenRun(id=RUN, actor="K7", operations=("bend",))
            await edge.stations.perform("brake-1", begin)
        yield edge


async def measure(edge: Edge, value: str, key: str = BAD) -> None:
    step = asked.DoStep(id=key, actor="K7", run=RUN, operation="bend", step=MEASURE, value=value)
    await edge.stations.perform("brake-1", step)


def shown(edge: Edge, station: str, key: str) -> tuple[Held, ...]:
    """What a screen of the station says of an operation's hold."""
    found = next(each for each in edge.stations.view(station).queue if each.operation.id == key)
    return found.operation.held


def release(source: str = BAD, actor: str = "S1", key: str = "release-1", **more: str) -> asked.ReleaseHold:
    said = {"operation": "weld", "disposition": "use as is", "reason": "measured again: 25.1", **more}
    return asked.ReleaseHold.model_validate({"id": key, "actor": actor, "source": source, **said})


async def test_a_violation_blocks_what_follows_at_this_edge_at_once(tmp_path: Path) -> None:
    async with at_work(tmp_path) as edge:
        changed = edge.stations.next_change("weld-1")
        await measure(edge, "25.42")
        assert changed.is_set()  # a terminal there is painted anew
        (why,) = shown(edge, "weld-1", "weld")
        assert (why.nonconformance, why.source) == ("", BAD)
        assert why.en == "Flange 25.42 mm: above the tolerance; beyond 3 sigma"
        assert shown(edge, "pack-1", "pack") == (why,)
        assert shown(edge, "weld-1", "other") == ()
        *_, said = await edge.sent_actions()
        assert said.event == did.LotHeld("bend", "flange", BAD, why.en, why.zh)
    async with at_work(tmp_path, again=True) as edge:
        begin = asked.OpenRun(id="open-weld", actor="K7", operations=("weld",), unconfirmed_ok=True)
        with pytest.raises(Refusal, match=r"is on hold: Flange 25\.42") as refused:
            await edge.stations.perform("weld-1", begin)
        assert refused.value.code == "held-here"
        other = asked.OpenRun(id="open-other", actor="K7", operations=("other",))
        await edge.stations.perform("weld-1", other)


async def test_a_drift_is_held_once_and_an_undo_takes_the_hold_back(tmp_path: Path) -> None:
    async with at_work(tmp_path) as edge:
        await measure(edge, "25.0", "measured-0")
        await measure(edge, "25.42")
        await measure(edge, "25.44", "measured-2")
        held = [each.event for each in await edge.sent_actions() if isinstance(each.event, did.LotHeld)]
        assert [each.source for each in held] == [BAD]
    async with edge_with_stations(tmp_path / "other", places=(BRAKE, WELD, PACK)) as edge:
        await edge.stations.jobs_received(jobs())
        await edge.stations.perform("brake-1", asked.OpenRun(id=RUN, actor="K7", operations=("bend",)))
        await measure(edge, "52.1")
        assert shown(edge, "weld-1", "weld")
        await edge.stations.perform("brake-1", asked.Undo(id="undo-0001", actor="K7", command=BAD))
        assert shown(edge, "weld-1", "weld") == ()


async def test_only_who_the_site_names_releases_it_and_it_is_in_the_journal(tmp_path: Path) -> None:
    async with at_work(tmp_path) as edge:
        await measure(edge, "25.42")
        with pytest.raises(Refusal, match="K7 may not release a lot here, S1, q7 may"):
            await edge.stations.perform("weld-1", release(actor="K7", key="release-0"))
        with pytest.raises(Refusal, match="not on hold for that reason"):
            await edge.stations.perform("weld-1", release("another", key="release-00"))
        await edge.stations.perform("weld-1", release(actor="Q7"))
        assert shown(edge, "weld-1", "weld") == shown(edge, "pack-1", "pack") == ()
        last = (await edge.sent_actions())[-1]
        event = did.LotReleased("weld", BAD, "use as is", "measured again: 25.1")
        assert (last.actor, last.event) == ("Q7", event)
    async with at_work(tmp_path, again=True) as edge:
        assert shown(edge, "weld-1", "weld") == ()


async def test_where_the_site_names_nobody_the_office_decides(tmp_path: Path) -> None:
    places = [having(place, releasers=()) for place in (BRAKE, WELD)]
    async with edge_with_stations(tmp_path, places=places) as edge:
        await edge.stations.jobs_received(jobs())
        await edge.stations.perform("brake-1", asked.OpenRun(id=RUN, actor="K7", operations=("bend",)))
        await measure(edge, "25.42")
        with pytest.raises(Refusal, match="decided in the office"):
            await edge.stations.perform("weld-1", release())


def listed_as_held(version: int, *, releases: tuple[str, ...] = ()) -> JobList:
    """The list of a service that knows the hold as nonconformance 3."""
    known = Held("3", "Flange", "折边", BAD)

    def held(each: JobOperation) -> JobOperation:
        return replace(each, held=(known,)) if each.id in ("weld", "pack") else each

    made = jobs(version, holds=(BAD,), releases=releases)
    return replace(made, operations=tuple(held(each) for each in made.operations))


async def test_once_the_service_knows_its_word_counts(tmp_path: Path) -> None:
    async with at_work(tmp_path) as edge:
        await measure(edge, "25.42")
        await edge.stations.jobs_received(jobs(2))  # made before the service had heard of it
        assert [each.nonconformance for each in shown(edge, "weld-1", "weld")] == [""]
        await edge.stations.jobs_received(listed_as_held(3))
        assert [each.nonconformance for each in shown(edge, "weld-1", "weld")] == ["3"]
        await edge.stations.jobs_received(jobs(4, holds=(BAD,)))  # a supervisor has released it
        assert shown(edge, "weld-1", "weld") == ()


async def test_a_release_here_counts_until_the_service_knows_it_and_can_hold_again(tmp_path: Path) -> None:
    async with at_work(tmp_path) as edge:
        await edge.stations.jobs_received(listed_as_held(2))
        await edge.stations.perform("weld-1", release())
        await edge.stations.jobs_received(listed_as_held(3))  # under way meanwhile
        assert shown(edge, "weld-1", "weld") == ()
        await edge.stations.jobs_received(listed_as_held(4, releases=(BAD,)))
        assert [each.nonconformance for each in shown(edge, "weld-1", "weld")] == ["3"]


async def test_what_lies_between_at_another_edge_does_not_open_a_way_round(tmp_path: Path) -> None:
    """Coated elsewhere, packed here: the lot that is on hold here is not packed."""
    coated = predecessor("coat", edge="finishing", workcell="oven-1")
    pack = replace(operation("pack", workcell="pack-1", predecessors=[coated]), job="A-1")
    bent = replace(operation("bend", steps=STEPS), inspection=(FLANGE,), job="A-1")
    async with edge_with_stations(tmp_path, places=(BRAKE, PACK)) as edge:
        await edge.stations.jobs_received(JobList("machining", 1, T0, (bent, pack)))
        await edge.stations.perform("brake-1", asked.OpenRun(id=RUN, actor="K7", operations=("bend",)))
        await measure(edge, "25.42")
        assert shown(edge, "pack-1", "pack")

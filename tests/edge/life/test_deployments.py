"""Models from the service: checked, kept, used, refused, gone back from; renewals that are heard of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from drivers.modbus.simulator import ModbusServer
from edge.agent import Agent
from edge.config import load_setup
from edge.life import journal
from edge.life.lives import Lives
from edge.life.model_files import EdgeModel
from edge.station.station_view import LifeView
from protocols import states
from protocols.lanes import Lane
from protocols.prognostics import lifeline, model_file
from protocols.prognostics.deployment import Assigned, Deployment, beginning, deployment, parts
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.lifeline import asked as asked_of
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row, RowKind, assembler
from protocols.states import ModelHeld, ModelsHeld
from tests.cloud.maintenance.rul import hall, signed
from tests.edge.life.test_lives import configured, show, work
from tests.edge.test_bootstrap import living, until

ASSET = "11111111-1111-1111-1111-111111111115"
EDGE = "machining"


def assigned(data: bytes, sha256: str = "", asset: str = ASSET, beginning: bytes = b"") -> Assigned:
    sha256 = sha256 or model_file.identity(data)
    return Assigned("press-1", asset, "one", sha256, len(data), beginning)


def asked(*machines: Assigned, renewed: int = 0) -> Deployment:
    return deployment(EDGE, machines, {"press-1": renewed} if renewed else {})


def remembered(line: Lifeline) -> bytes:
    """What the service would send of a machine."""
    last = line.last
    rows = assembler(signed.BY_CYCLE, asked_of(line.prognoser.model), last[0] if last else None)
    return beginning(lifeline.packed(line.stretch), rows.remembered())


async def give(agent: Agent, data: bytes, wanted: Deployment | None = None) -> ModelsHeld:
    """Send a model as the service would; what the edge says at the end."""
    await agent.uplink.handlers.models(wanted or asked(assigned(data)))
    for part in parts((wanted or asked(assigned(data))).machines[0].sha256, data):
        await agent.uplink.handlers.models(part)
    return (await said(agent))[-1]


async def said(agent: Agent) -> list[ModelsHeld]:
    """All that the edge told of its models and that waits for the service."""
    await agent.outbox.seal()
    found: list[ModelsHeld] = []
    for sealed in await agent.outbox.pending():
        blob = await agent.outbox.blob(sealed.key)
        if sealed.key.lane is Lane.STATES and blob is not None:
            found += [event for event in states.decode(blob) if isinstance(event, ModelsHeld)]
    return found


def lives(agent: Agent) -> Lives:
    assert agent.lives is not None
    return agent.lives


def view(agent: Agent) -> LifeView:
    return lives(agent).views()["press-1"]


@contextlib.asynccontextmanager
async def press(folder: Path, *, named: bool = False) -> AsyncIterator[tuple[ModbusServer, Path]]:
    """A press, and an edge configured for it that trusts the key of the tests."""
    files = configured(folder / "files", "modbus://127.0.0.1:1")
    server = ModbusServer(load_setup(files).machines[0].profile)
    show(server, hall.cycles(40)[0], 1)
    await server.start()
    try:
        yield server, configured(folder / "edge", server.url, named=named)
    finally:
        await server.stop()


async def test_a_model_comes_in_parts_is_used_and_stays_over_a_restart_without_the_service(
    tmp_path: Path,
) -> None:
    measured, data = hall.cycles(40), signed.data()
    sha256 = model_file.identity(data)
    async with press(tmp_path) as (server, config):
        async with living(load_setup(config)) as (agent, _):
            await agent.uplink.handlers.models(asked(assigned(data)))
            (wants,) = await said(agent)
            held = await give(agent, data)
            await work(agent, server, measured[:10], 1)
            await until(lambda: view(agent).age == 9)
        async with living(load_setup(config)) as (agent, _):
            await until(lambda: view(agent).age == 9)
            await work(agent, server, measured[10:20], 11)
            await until(lambda: view(agent).age == 19)
            seen = view(agent)
            before = len(await said(agent))
            await agent.uplink.handlers.models(asked(assigned(data)))
            again = await said(agent)
            agent_tags = {
                tag.path
                for tag in (
                    await agent.reconfiguration.catalogues.numbered(agent.reconfiguration.running["press-1"])
                ).tags
            }

    assert wants.wants == (sha256,)
    assert wants.machines == (ModelHeld("press-1"),)
    assert not held.wants
    assert [(one.device, one.sha256, one.why) for one in held.machines] == [("press-1", sha256, "")]
    line = Lifeline(Prognoser(signed.model()))
    for n, values in enumerate(measured[:19], 1):
        line.take(Row(n, values, 0, float(n)))
    assert line.last is not None
    assert seen.life == line.last[1].life, "with no service, over a restart, as the file scores"
    assert not again[before].wants, "nothing comes twice"
    assert again[before].machines == held.machines
    assert {"press-1/remaining_life", "press-1/remaining_life.upper"} <= agent_tags


async def test_what_is_altered_or_signed_by_a_stranger_is_refused_and_the_one_before_stays(
    tmp_path: Path,
) -> None:
    good, other = signed.data(), signed.data(2)
    place = other.index(b'"unit":"h"')
    altered = other[: place + 8] + b"d" + other[place + 9 :]
    stranger = model_file.write(signed.model(3), Ed25519PrivateKey.generate())
    unfit = signed.data(row=RowKind(counter="cicle"))
    async with press(tmp_path) as (server, config):
        async with living(load_setup(config)) as (agent, _):
            await give(agent, good)
            since = (await said(agent))[-1].machines[0].since
            first = await give(agent, altered, asked(assigned(other)))
            await agent.uplink.handlers.models(asked(assigned(other)))
            still = (await said(agent))[-1]
            second = await give(agent, stranger)
            third = await give(agent, unfit)
            fourth = await give(agent, good, asked(assigned(good, sha256="0" * 64)))
            elsewhere = await give(agent, other, asked(assigned(other, asset=ASSET[:-1] + "9")))
            await work(agent, server, hall.cycles(40)[:4], 1)
            await until(lambda: view(agent).age == 3)
            back = await give(agent, good)
        async with living(load_setup(config)) as (agent, _):
            used = {device: model.sha256 for device, model in _deployed(agent).items()}

    kept = ("press-1", model_file.identity(good), since)
    for held in (first, still, second, third, fourth, elsewhere):
        assert [(one.device, one.sha256, one.since) for one in held.machines] == [kept]
    assert first.machines[0].refused == model_file.identity(other)
    assert "changed after it was written" in first.machines[0].why
    assert still.machines == first.machines
    assert not still.wants, "it is not asked for again and again"
    assert "signed by key" in second.machines[0].why
    assert "asks for the tag cicle, which the profile has not" in third.machines[0].why
    assert "it is another one" in fourth.machines[0].why
    assert "the service has another site file" in elsewhere.machines[0].why
    assert back.machines[0].refused == ""
    assert used == {"press-1": model_file.identity(good)}


def _deployed(agent: Agent) -> dict[str, EdgeModel]:
    assert agent.deployments is not None
    return agent.deployments.models


async def test_nothing_is_used_where_no_key_is_trusted_and_no_file_is_asked_for(tmp_path: Path) -> None:
    async with press(tmp_path) as (_, config):
        text = config.read_text("utf-8")
        config.write_text(text[: text.index("life:")], "utf-8")
        async with living(load_setup(config)) as (agent, _):
            await agent.uplink.handlers.models(asked(assigned(signed.data())))
            (held,) = await said(agent)
            assert not lives(agent).views()
    assert not held.wants
    assert "under life: trusted_keys" in held.machines[0].why


async def test_a_file_of_this_edge_goes_first_and_says_so(tmp_path: Path) -> None:
    own, sent = signed.data(), signed.data(2)
    async with press(tmp_path, named=True) as (_, config), living(load_setup(config)) as (agent, _):
        await agent.uplink.handlers.models(asked(assigned(sent)))
        await agent.uplink.handlers.models(asked(assigned(own)))
        first, second = await said(agent)
    (held,) = first.machines
    assert (held.sha256, held.file) == (model_file.identity(own), True)
    assert held.refused == model_file.identity(sent)
    assert "edge.yaml names a file" in held.why
    assert not first.wants
    assert (second.machines[0].refused, second.wants) == ("", ())


async def test_another_model_scores_on_at_the_machines_age_and_goes_when_it_is_retired(
    tmp_path: Path,
) -> None:
    measured, first, second = hall.cycles(40), signed.data(), signed.data(2)
    async with press(tmp_path) as (server, config), living(load_setup(config)) as (agent, _):
        await give(agent, first)
        await work(agent, server, measured[:20], 1)
        await until(lambda: view(agent).age == 19)
        line = Lifeline(Prognoser(signed.model(2)))
        rows = [row for row, _ in _rows(agent)]
        for row in rows[:12]:
            line.take(row)
        await give(agent, second, asked(assigned(second, beginning=remembered(line))))
        await work(agent, server, measured[20:30], 21)
        await until(lambda: view(agent).age == 29)
        changed = view(agent)
        await agent.uplink.handlers.models(asked())
        gone = (await said(agent))[-1]
        assert not lives(agent).views()
        kept = await agent.outbox.store.read(journal.models)

    for n in range(13, 30):
        line.take(Row(rows[0].end + n, measured[n - 1], 0, float(n)))
    assert line.last is not None
    assert changed.life == line.last[1].life, "as if the second model had scored it from the beginning"
    assert gone.machines == ()
    assert kept == []


def _rows(agent: Agent) -> list[tuple[Row, object]]:
    line = lives(agent)._scored["press-1"].line
    return [*zip(line.stretch.rows, line.stretch.scores, strict=True)]


async def test_what_is_remembered_must_give_the_scores_that_came_with_it(tmp_path: Path) -> None:
    data = signed.data()
    line = Lifeline(Prognoser(signed.model()))
    for n, values in enumerate(hall.cycles(10), 1):
        line.take(Row(n, values, 0, float(n)))
    good = remembered(line)
    line.stretch.scores[3] = line.stretch.scores[4]
    async with press(tmp_path) as (_, config), living(load_setup(config)) as (agent, _):
        await give(agent, data, asked(assigned(data, beginning=remembered(line))))
        assert view(agent).age == 0
        await agent.uplink.handlers.models(asked())
        await give(agent, data, asked(assigned(data, beginning=b"\x91")))
        assert view(agent).age == 0
        await agent.uplink.handlers.models(asked())
        await give(agent, data, asked(assigned(data, beginning=good)))
        assert view(agent).age == 10


async def test_a_renewal_at_the_service_begins_the_life_anew_once_and_over_a_restart(tmp_path: Path) -> None:
    measured, data = hall.cycles(40), signed.data()
    async with press(tmp_path) as (server, config):
        async with living(load_setup(config)) as (agent, _):
            await give(agent, data)
            await work(agent, server, measured[:12], 1)
            await until(lambda: view(agent).age == 11)
            rows = [row for row, _ in _rows(agent)]
            since = rows[7].end
            renewal = asked(assigned(data), renewed=since)
            await agent.uplink.handlers.models(renewal)
            await until(lambda: view(agent).age == 3)  # what was worked since is not forgotten
            held = (await said(agent))[-1]
            await agent.uplink.handlers.models(renewal)
            await agent.uplink.handlers.models(asked(assigned(data), renewed=since - 1))
            await work(agent, server, measured[12:15], 13)
            await until(lambda: view(agent).age == 6)
        async with living(load_setup(config)) as (agent, _):
            await until(lambda: view(agent).age == 6)
            seen = view(agent)
            await agent.uplink.handlers.models(renewal)
            await asyncio.sleep(0)
            assert view(agent).age == 6

    assert held.machines[0].life == since
    line = Lifeline(Prognoser(signed.model()))
    for n in range(9, 15):
        line.take(Row(n, measured[n - 1], 0, float(n)))
    assert line.last is not None
    assert seen.life == line.last[1].life


async def test_a_renewal_of_a_machine_that_is_not_scored_holds_for_its_model_that_comes(
    tmp_path: Path,
) -> None:
    data = signed.data()
    async with press(tmp_path) as (_, config):
        async with living(load_setup(config)) as (agent, _):
            await agent.uplink.handlers.models(asked(renewed=1_700_000_000_000_000))
        async with living(load_setup(config)) as (agent, _):
            held = await give(agent, data)
    assert held.machines[0].life == 1_700_000_000_000_000

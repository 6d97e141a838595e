"""A model at the edge: the scores of the service to the last bit, with no network, over a restart."""

from __future__ import annotations

import struct
from math import nan
from pathlib import Path

import httpx
import pytest

from cloud.hub import SamplesLedgered
from cloud.maintenance.rul.lives import ScoredRow
from drivers.modbus.simulator import ModbusServer
from edge.agent import Agent
from edge.config import Setup, load_setup
from edge.life.tags import LIFE, LOWER, UPPER
from protocols import states, telemetry
from protocols.documents import DocumentError
from protocols.lanes import Lane
from protocols.prognostics import model_file
from protocols.prognostics.rows import RowKind
from protocols.states import CatalogueAnnounced
from protocols.values import Value
from tests.cloud.maintenance.rul import hall, signed
from tests.edge.test_bootstrap import living, until
from tests.edge.test_config import SITE, write
from tests.servers import free_port

CYCLES = 40
Told = tuple[str, int, Value, int]
"""Tag, time, value, quality."""
PROFILE = """\
vendor: Acme
model: Press
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state, sampling: 0.02, enum: {1: idle, 3: running}}
  speed: {address: "holding:2", type: float64, sampling: 0.02}
  vibration: {address: "holding:6", type: float64, role: vibration, sampling: 0.02}
  temperature: {address: "holding:10", type: float64, role: temperature, sampling: 0.02}
  current: {address: "holding:14", type: float64, role: current, sampling: 0.02}
  cycle: {address: "holding:18", type: uint32, sampling: 0.02}
states:
  1: {item_state: not_executing}
  3: {item_state: executing}
"""


def configured(
    folder: Path, device: str, model: bytes | None = None, broker: int = 0, *, named: bool = True
) -> Path:
    """An edge whose file names a model, or none; without the port of a broker, its broker does not answer."""
    folder.mkdir(exist_ok=True)
    signed.public_key(folder)
    (folder / "press.json").write_bytes(signed.data() if model is None else model)
    models = "  models:\n    - {device: press-1, file: press.json}\n" if named else ""
    edge = f"""\
edge: machining
site: site.yaml
profiles: profiles
data: data
broker: {{host: 127.0.0.1, port: {broker or free_port()}}}
api: {{port: {free_port()}}}
life:
  trusted_keys: [signing.pem.pub]
{models}"""
    return write(folder, edge, SITE.replace("modbus://127.0.0.1:1502", device), PROFILE)


def show(server: ModbusServer, values: hall.Cycle, cycle: int) -> None:
    """Let the machine show what it measured in a cycle, the counter last."""
    server.set("state", 3)
    for name, value in zip(hall.NAMES, (*values, cycle), strict=True):
        server.set(name, value)


async def work(agent: Agent, server: ModbusServer, measured: list[hall.Cycle], first: int) -> None:
    """Let the machine work, a cycle after the other, each when the edge has seen the one before."""
    for cycle, values in enumerate(measured, first):
        show(server, values, cycle)
        await until(lambda now=cycle: _counter(agent) == now)  # type: ignore[misc]


async def told(agent: Agent) -> list[Told]:
    """All samples in the outbox by tag, as the cloud would get them."""
    await agent.recorder.flush()
    await agent.outbox.seal()
    names: dict[int, str] = {}
    found = []
    for sealed in await agent.outbox.pending():
        blob = await agent.outbox.blob(sealed.key)
        assert blob is not None
        if sealed.key.lane is Lane.STATES:
            for event in states.decode(blob):
                if isinstance(event, CatalogueAnnounced):
                    names |= {tag.number: tag.path.removeprefix("press-1/") for tag in event.catalogue.tags}
        elif sealed.key.lane is Lane.TELEMETRY:
            found += [*telemetry.decode(blob).samples()]
    return [(names[one.tag], one.ts, one.value, int(one.quality)) for one in found]


def bits(*numbers: Value) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *(nan if n is None else n for n in numbers))


def given(samples: list[Told]) -> dict[int, bytes]:
    """The scores that the edge told, by time of their row; beyond the horizon no upper bound."""
    by_time: dict[int, dict[str, Value]] = {}
    for name, ts, value, quality in samples:
        if name in (LIFE, LOWER, UPPER):
            by_time.setdefault(ts, {})[name] = None if name == UPPER and quality else value
    return {ts: bits(one[LIFE], one[LOWER], one[UPPER]) for ts, one in by_time.items()}


async def in_the_service(folder: Path, samples: list[Told], count: int) -> list[ScoredRow]:
    """The rows that the service makes of the same samples."""
    wanted = {name: number for number, name in enumerate(hall.NAMES, 1)}
    event = SamplesLedgered("hall", [], [], [], [])
    for name, ts, value, quality in samples:
        if name in wanted:
            event.tags.append(wanted[name])
            event.times.append(ts)
            event.values.append(value)
            event.qualities.append(quality)
    async with hall.running(folder, now=max(event.times)) as service:
        await service.use(signed.model())
        service.tell(event)
        return await service.rows(count)


async def test_edge_and_service_say_the_same_and_a_cut_link_stops_nothing(tmp_path: Path) -> None:
    measured = hall.cycles(CYCLES)
    server = ModbusServer(
        load_setup(configured(tmp_path / "files", "modbus://127.0.0.1:1")).machines[0].profile
    )
    show(server, hall.cycles(CYCLES)[0], 1)  # before it is read: a machine that shows nothing has a row, too
    await server.start()
    try:
        setup = load_setup(configured(tmp_path / "edge", server.url))
        async with living(setup) as (agent, port):
            await work(agent, server, measured[:25], 1)
            await until(lambda: _age(agent) == 24)
            async with httpx.AsyncClient() as http:
                health = (await http.get(f"http://127.0.0.1:{port}/health")).json()
            view = agent.stations.view("press-1")
        async with living(setup) as (agent, _):
            await until(lambda: _age(agent) == 24)
            await work(agent, server, measured[25:], 26)
            await until(lambda: _age(agent) == 39)
            samples = await told(agent)
    finally:
        await server.stop()
    rows = await in_the_service(tmp_path, samples, 39)

    assert not health["link"]["online"]
    assert [(one["device"], one["age"], one["unit"]) for one in health["lives"]] == [("press-1", 24, "h")]
    (machine,) = view.machines
    assert machine.life is not None
    assert machine.life.life == health["lives"][0]["life"]
    edge = given(samples)
    service = {row.end: bits(row.life, row.lower, row.upper) for row in rows}
    assert len(edge) == 39
    assert edge == service
    assert [row.count for row in rows] == [float(n) for n in range(1, 40)]
    assert [row.values for row in rows] == measured[:39], "exactly as the machine measured it"


def _counter(agent: Agent) -> Value:
    collector = agent.devices.get("press-1")
    return None if collector is None else collector.values(["cycle"]).get("cycle")


def _age(agent: Agent) -> int:
    assert agent.lives is not None
    return agent.lives.views()["press-1"].age


async def test_a_maintenance_that_is_done_lets_the_life_begin_anew(tmp_path: Path) -> None:
    server = ModbusServer(
        load_setup(configured(tmp_path / "files", "modbus://127.0.0.1:1")).machines[0].profile
    )
    show(server, hall.cycles(CYCLES)[0], 1)  # before it is read: a machine that shows nothing has a row, too
    await server.start()
    try:
        setup = load_setup(configured(tmp_path / "edge", server.url))
        async with living(setup) as (agent, _):
            await work(agent, server, hall.cycles(CYCLES)[:10], 1)
            await until(lambda: _age(agent) == 9)
            assert agent.lives is not None
            collector = agent.devices.get("press-1")
            assert collector is not None
            agent.execution.control.on_repaired("press-1", collector.last_read + 1)
            await work(agent, server, hall.cycles(5, seed=9), 11)
            await until(lambda: _age(agent) == 4)
        async with living(setup) as (agent, _):
            await until(lambda: _age(agent) == 4)
    finally:
        await server.stop()


def refused(tmp_path: Path, model: bytes | None = None, change: tuple[str, str] = ("", "")) -> str:
    path = configured(tmp_path, "modbus://127.0.0.1:1", model)
    path.write_text(path.read_text().replace(*change) if change[0] else path.read_text())
    with pytest.raises(DocumentError) as caught:
        load_setup(path)
    return str(caught.value)


def test_a_model_that_is_altered_or_does_not_fit_is_refused_at_its_place(tmp_path: Path) -> None:
    good = signed.data()
    altered = good.replace(b'"unit":"h"', b'"unit":"d"')
    texts = {
        "altered": refused(tmp_path / "a", altered),
        "files": refused(tmp_path / "b", signed.data(row=None)),
        "tag": refused(tmp_path / "c", signed.data(row=RowKind(counter="cicle"))),
        "nobody": refused(tmp_path / "d", model_file.write(signed.model())),
    }
    assert "edge.yaml:10:31" in texts["altered"]
    assert "press.json: changed after it was written" in texts["altered"]
    assert "scores files alone" in texts["files"]
    assert "asks for the tag cicle, which the profile has not (did you mean cycle?)" in texts["tag"]
    assert "not signed" in texts["nobody"]


def test_a_wrong_key_or_machine_is_shown_at_its_place(tmp_path: Path) -> None:
    key = refused(tmp_path / "a", change=("[signing.pem.pub]", "[press.json]"))
    gone = refused(tmp_path / "b", change=("[signing.pem.pub]", "[gone.pub]"))
    device = refused(tmp_path / "c", change=("device: press-1", "device: press-7"))
    assert "edge.yaml:8:18" in key
    assert "not a public key of Ed25519" in key
    assert "gone.pub: No such file" in gone
    assert "did you mean press-1?" in device


def test_a_model_is_told_as_tags_of_its_machine(tmp_path: Path) -> None:
    from edge.life.tags import definitions

    setup: Setup = load_setup(configured(tmp_path, "modbus://127.0.0.1:1"))
    assert [(tag.path, tag.unit) for tag in definitions(setup.life.models)] == [
        ("press-1/remaining_life", "h"),
        ("press-1/remaining_life.lower", "h"),
        ("press-1/remaining_life.upper", "h"),
    ]
    assert setup.life.models["press-1"].tags == ("speed", "vibration", "temperature", "current", "cycle")

"""Small machines for tests of the edge: profiles, devices, and what it takes to collect from them."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from drivers.driver import Driver
from drivers.modbus.profile import ModbusProfile
from drivers.opcua.profile import OpcuaProfile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from edge.collector import Collector
from edge.machine import MachineWatch
from edge.outbox.numbering import number_tags
from edge.outbox.outbox import Outbox
from edge.outbox.store import Store, StoreLimits
from edge.recorder import Recorder
from edge.tags import definitions
from edge.waveforms.blocks import Blocks
from edge.waveforms.journal import WAVEFORMS
from protocols import states, telemetry
from protocols.clock import Clock
from protocols.lanes import Lane
from protocols.site import Device
from protocols.states import Event
from protocols.values import Sample

T0 = 1_700_000_000_000_000

STATES = {
    0: {"item_state": "not_available", "mode": "processing"},
    1: {"item_state": "not_executing", "mode": "processing"},
    2: {"item_state": "not_executing", "mode": "setup"},
    3: {"item_state": "executing", "mode": "processing"},
    4: {"item_state": "out_of_service", "mode": "processing", "reason": "fault"},
    5: {"item_state": "not_executing", "mode": "processing", "reason": "jam"},
}


class Ticks:
    """A clock that the test moves: ``wall`` and ``elapsed`` in µs."""

    def __init__(self) -> None:
        self.wall = T0
        self.elapsed = 0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall * 1000, lambda: self.elapsed * 1000)

    def pass_(self, seconds: float) -> None:
        self.wall += round(seconds * 1e6)
        self.elapsed += round(seconds * 1e6)


def press(**tags: dict[str, Any]) -> AnyProfile:
    """A press on Modbus: state, parts, alarm, load, and more tags on demand."""
    return cast(
        "AnyProfile",
        ModbusProfile.model_validate(
            {
                "vendor": "Acme",
                "model": "Press",
                "protocol": "modbus",
                "tags": {
                    "state": {
                        "address": "holding:0",
                        "type": "uint16",
                        "role": "state",
                        "sampling": 0.05,
                        "enum": {0: "off", 1: "idle", 2: "setup", 3: "running", 4: "fault", 5: "jam"},
                    },
                    "parts": {
                        "address": "holding:2",
                        "type": "uint32",
                        "role": "part_count",
                        "sampling": 0.05,
                    },
                    "alarm": {"address": "holding:4", "type": "uint16", "role": "alarm", "sampling": 0.05},
                    "load": {
                        "address": "holding:6",
                        "type": "float32",
                        "unit": "%",
                        "sampling": 0.05,
                        "deadband": 1.0,
                    },
                    **tags,
                },
                "states": STATES,
            }
        ),
    )


def lathe() -> AnyProfile:
    """A lathe on OPC UA."""
    return cast(
        "AnyProfile",
        OpcuaProfile.model_validate(
            {
                "vendor": "Acme",
                "model": "Lathe",
                "protocol": "opcua",
                "opcua": {"namespaces": ["urn:test:lathe"]},
                "tags": {
                    "state": {
                        "address": "ns=1;s=state",
                        "type": "int32",
                        "role": "state",
                        "sampling": 0.1,
                    },
                    "load": {"address": "ns=1;s=load", "type": "float64", "sampling": 0.1},
                },
                "states": STATES,
            }
        ),
    )


def device(url: str = "modbus://127.0.0.1:1", **more: Any) -> Device:
    return Device(
        id="press-1",
        asset=UUID(int=1),
        profile="acme/press",
        url=url,
        workcells=("press-1",),
        **more,
    )


@contextlib.asynccontextmanager
async def collecting(
    folder: Path,
    profile: AnyProfile,
    at: Device,
    clock: Clock | None = None,
    make: Callable[[], Driver[Any]] | None = None,
    **limits: int,
) -> AsyncIterator[Collector]:
    """A collector with its recorder over an open outbox; neither is running."""
    clock = clock or Clock()
    within = StoreLimits(**{"ballast": 0, **limits})
    async with (
        Store(folder / "edge.db", (WAVEFORMS,), within) as store,
        Blocks(folder / "waveforms", store, clock) as blocks,
    ):
        outbox = Outbox(store, clock)
        await outbox.open()
        outbox.live = True
        catalogue = await store.run(lambda db: number_tags(db, "machining", definitions(at, profile)))
        recorder = Recorder(outbox, catalogue.content_hash())
        ids = iter(range(1, 1000))
        watch = MachineWatch(at.id, profile, {"press-1": 5.0}, lambda: f"stop-{next(ids)}")
        made = make or (lambda: driver_type(profile.protocol).create(at.url, profile, at.options))
        yield Collector(
            at, profile, made, recorder, clock, catalogue, watch, jitter=lambda: 0.4, blocks=blocks
        )


def recorder_of(collector: Collector) -> Recorder:
    """The recorder of a collector that is not on trial."""
    assert isinstance(collector.recorder, Recorder)
    return collector.recorder


async def recorded(collector: Collector) -> list[tuple[str, Sample]]:
    """Everything on disk, as (tag, sample), after a flush."""
    await recorder_of(collector).flush()
    outbox = recorder_of(collector).outbox
    await outbox.seal()
    names = {tag.number: tag.path.partition("/")[2] for tag in collector.catalogue.tags}
    found: list[tuple[str, Sample]] = []
    for sealed in await outbox.pending():
        if sealed.key.lane is Lane.TELEMETRY:
            blob = await outbox.blob(sealed.key)
            assert blob is not None
            found += [(names[sample.tag], sample) for sample in telemetry.decode(blob).samples()]
    return found


async def reported(collector: Collector) -> list[Event]:
    """Every event on disk, after a flush."""
    await recorder_of(collector).flush()
    outbox = recorder_of(collector).outbox
    found: list[Event] = []
    for sealed in await outbox.pending():
        if sealed.key.lane is Lane.STATES:
            found += states.decode(await outbox.blob(sealed.key) or b"")
    return found

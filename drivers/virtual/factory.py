"""The virtual factory: every machine of a site, served from its profile on its real protocol and address.

What a machine shows is a table (tag name → how to get it from the physics); the physics know no protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from drivers.profile.files import load_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_types
from drivers.simulator import OnWrite, ProfileServer
from drivers.virtual.agv import VirtualAgv
from drivers.virtual.machining import Bearing, MachiningCentre
from drivers.virtual.physics import Character, Machine, State, Vehicle
from drivers.virtual.transfer import TransferStation
from protocols.site import Device, Edge, Site
from protocols.site_graph import SiteGraph, StationSignals
from protocols.values import Value

STEP = 0.2
"""Seconds between two updates."""
COUNT_EVERY = 1.0
"""Seconds between two steps of a ``counter`` tag: slow enough that every poll of 0.2 s sees each number."""

VEHICLE_PROFILE = "virtual/agv-vda"

CHARACTERS: dict[str, Character] = {
    "virtual/laser": Character(
        load=62, vibration=1.1, worn_vibration=8.0, power=18, micro_stops_per_hour=0.05
    ),
    "virtual/brake": Character(
        load=40, vibration=1.6, worn_vibration=7.0, power=11, micro_stops_per_hour=0.05
    ),
    "virtual/welder": Character(
        load=70, vibration=0.8, worn_vibration=6.0, power=9, micro_stops_per_hour=0.1
    ),
    "virtual/coating": Character(load=50, vibration=0.6, worn_vibration=5.0, power=45, lag=600),
    "virtual/assembly": Character(load=15, vibration=0.3, worn_vibration=3.0, power=0.6),
    "virtual/packing": Character(load=10, vibration=0.3, worn_vibration=3.0, power=0.8),
    "virtual/mill": Character(heat=24, power=15, lag=300, micro_stops_per_hour=0.05),
}
"""By profile; what is not listed here is no machine that works."""

Look = Callable[[Machine, random.Random], Value]

MACHINE_TAGS: dict[str, Look] = {
    "state": lambda m, _: int(m.state),
    "program": lambda m, _: m.program,
    "part_count": lambda m, _: m.parts,
    "alarm": lambda m, _: m.alarm,
    "spindle_load": lambda m, _: m.load,
    "vibration": lambda m, _: m.vibration,
    "temperature": lambda m, _: m.temperature,
    "power": lambda m, _: m.power,
    "feed_rate": lambda m, r: 8.0 + r.gauss(0, 0.1) if m.state is State.RUNNING else 0.0,
    "oven": lambda m, r: 185.0 + r.gauss(0, 0.5),
    "force": lambda m, r: m.load * 11 + r.gauss(0, 4),
    "current": lambda m, r: m.load * 2.6 + r.gauss(0, 2),
    "torque": lambda m, r: 4.2 + r.gauss(0, 0.1) if m.state is State.RUNNING else 0.0,
}

CENTRE_PROFILE = "virtual/mill"
CENTRE_TAGS: dict[str, Callable[[MachiningCentre], Value]] = {
    "speed": lambda m: m.spindle_speed,
    "drive_current": lambda m: m.load * 0.45,
}

VEHICLE_TAGS: dict[str, Callable[[Vehicle], Value]] = {
    "state": lambda v: 3 if v.driving else 6 if v.charging else 1,
    "mission": lambda v: v.mission % 65536,
    "station": lambda v: v.station,
    "target": lambda v: v.target,
    "battery": lambda v: v.battery,
    "position": lambda v: v.position,
}


STATION_TAGS: dict[str, Callable[[TransferStation], Value]] = {
    "ready": lambda s: s.ready,
    "sensed": lambda s: s.loaded,
    "release": lambda s: s.release,
}


class UnknownMachineError(KeyError):
    """The factory has no machine of that name."""


@dataclass(slots=True)
class _Shown:
    """One device: its server and whatever moves behind it."""

    device: Device
    server: ProfileServer
    subject: Machine | Vehicle | TransferStation | None


class Factory:
    """All devices of ``site`` whose profile lies below ``virtual/``.

    ``speed`` divides wear and the machines' own times. ``worn`` names machines that wear much faster than
    the others, and the hours of work in which they do. Constructing opens nothing; ``async with factory``
    serves, ``run`` lets time go by.
    """

    def __init__(
        self,
        site: Site,
        profiles: Path,
        *,
        speed: float = 1.0,
        seed: int = 1,
        worn: Mapping[str, float] | None = None,
        count_every: float = COUNT_EVERY,
        graph: SiteGraph | None = None,
    ) -> None:
        self._rng = random.Random(seed)
        self._seed = seed
        self._felt = -1
        self._speed = speed
        self._worn = worn = dict(worn or {})
        self._count_every = count_every
        self._stations = list(site.workcells())
        self._graph = graph
        self._carried_for = _served_by_vehicles(site) if graph is not None else set()
        self._shown: dict[str, _Shown] = {}
        for device in site.devices().values():
            if device.profile.startswith("virtual/"):
                profile = load_profile(profiles / f"{device.profile}.yaml")
                shown = _Shown(device, self._server(site, device, profile), self._subject(device))
                shown.server.on_write = _written(shown.subject)
                self._shown[device.id] = shown
        unknown = set(worn) - set(self._shown)
        if unknown:
            raise UnknownMachineError(
                f"{', '.join(sorted(unknown))} cannot wear: the site has {', '.join(self._shown)}"
            )
        self._stack = contextlib.AsyncExitStack()

    def machine(self, name: str) -> Machine:
        """A machine by device id; raises UnknownMachineError naming those there are."""
        shown = self._shown.get(name)
        if shown is None or not isinstance(shown.subject, Machine):
            known = [key for key, item in self._shown.items() if isinstance(item.subject, Machine)]
            raise UnknownMachineError(f'no machine "{name}" (there are {", ".join(known)})')
        return shown.subject

    @property
    def machines(self) -> Mapping[str, Machine]:
        """All machines by device id."""
        return {key: item.subject for key, item in self._shown.items() if isinstance(item.subject, Machine)}

    def server(self, name: str) -> ProfileServer:
        """The server of one device, for faults; raises UnknownMachineError."""
        if name not in self._shown:
            raise UnknownMachineError(f'no device "{name}" (there are {", ".join(self._shown)})')
        return self._shown[name].server

    def carry(self, pick: str, drop: str) -> None:
        """Let the vehicle with the shorter way fetch at one workcell and bring to another.

        What a vehicle on VDA 5050 brings there is its edge's business: it gets orders.
        """
        vehicles = [item.subject for item in self._shown.values() if isinstance(item.subject, Vehicle)]
        for cell in (pick, drop):
            if cell not in self._stations:
                raise UnknownMachineError(f'no station "{cell}" (there are {", ".join(self._stations)})')
        if vehicles and drop not in self._carried_for:
            start = self._stations.index(pick)
            nearest = min(vehicles, key=lambda vehicle: abs(vehicle.position - start))
            nearest.send(start, self._stations.index(drop))

    async def __aenter__(self) -> Factory:
        async with contextlib.AsyncExitStack() as stack:
            for shown in self._shown.values():
                await stack.enter_async_context(shown.server)
            self._stack = stack.pop_all()
        self._show(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self) -> None:
        """Let time go by until cancelled."""
        clock = asyncio.get_running_loop().time
        last = counted = clock()
        count = 0
        while True:
            await asyncio.sleep(STEP)
            now = clock()
            for shown in self._shown.values():
                if isinstance(shown.subject, TransferStation):
                    shown.subject.advance(now - last, self._agvs())
                elif shown.subject is not None:
                    shown.subject.advance(now - last)
            last = now
            if now - counted >= self._count_every:
                counted = now
                count += 1
            self._show(count)

    def _show(self, count: int) -> None:
        total = sum(machine.power for machine in self.machines.values())
        energy = sum(machine.energy for machine in self.machines.values())
        for shown in self._shown.values():
            values: dict[str, Value] = {"counter": count}
            subject = shown.subject
            if isinstance(subject, Machine):
                values |= {tag: look(subject, self._rng) for tag, look in MACHINE_TAGS.items()}
                if isinstance(subject, MachiningCentre):
                    values |= {tag: look(subject) for tag, look in CENTRE_TAGS.items()}
            elif isinstance(subject, TransferStation):
                values |= {tag: tell(subject) for tag, tell in STATION_TAGS.items()}
            elif isinstance(subject, Vehicle):
                values |= {tag: tell(subject) for tag, tell in VEHICLE_TAGS.items()}
            else:
                volts = {f"voltage_l{phase}": 230 + self._rng.gauss(0, 0.4) for phase in (1, 2, 3)}
                values |= {"power": total, "energy": energy, **volts}
            if isinstance(subject, Machine) and count != self._felt:
                self._feel(shown, subject, count)
            known = shown.server.profile.tags
            if not shown.server.alive:
                shown.server.update({tag: value for tag, value in values.items() if tag in known})
        self._felt = count

    def _feel(self, shown: _Shown, machine: Machine, count: int) -> None:
        """What accelerometers at a machine felt last, into its waveforms."""
        waveforms = shown.server.profile.waveforms
        if not waveforms:
            return
        import numpy as np

        from drivers.virtual.spindle import Spindle, block, raw

        # Randomness of its own: who has an accelerometer has the same story as without.
        rng = np.random.default_rng((self._seed, zlib.crc32(shown.device.id.encode()), count))
        turning = machine.state is State.RUNNING
        for name, tag in waveforms.items():
            if (wave := tag.waveform) is not None:
                samples = block(Spindle(), machine.wear, wave.length, wave.rate, rng, turning=turning)
                shown.server.set_block(name, raw(samples, tag.type, tag.scale, tag.offset))

    def _agvs(self) -> list[VirtualAgv]:
        """The vehicles that take orders."""
        agvs = [getattr(shown.server, "agv", None) for shown in self._shown.values()]
        return [agv for agv in agvs if isinstance(agv, VirtualAgv)]

    def _server(self, site: Site, device: Device, profile: AnyProfile) -> ProfileServer:
        if device.profile == VEHICLE_PROFILE:
            edge = next(edge for edge in site.edges if device in edge.devices)
            vehicle: ProfileServer = _vehicle(device, edge, self._graph, profile, self._speed)
            return vehicle
        address = urlsplit(device.url)
        kind = driver_types()[profile.protocol]
        server: ProfileServer = kind.serve(profile, address.hostname or "127.0.0.1", address.port or 0)
        return server

    def _subject(self, device: Device) -> Machine | Vehicle | TransferStation | None:
        # each machine has randomness of its own: adding one does not change the others' story
        rng = random.Random(self._rng.random() + zlib.crc32(device.id.encode()))
        character = CHARACTERS.get(device.profile)
        if character is not None:
            if device.id in self._worn:
                character = replace(character, wear_hours=self._worn[device.id])
            if device.profile == CENTRE_PROFILE:
                lives = f"{self._seed}:{device.id}"
                bearing = Bearing(life=character.wear_hours)
                return MachiningCentre(
                    character, rng, self._speed, temperature=character.ambient, bearing=bearing, seed=lives
                )
            return Machine(character, rng, self._speed, temperature=character.ambient)
        if device.profile == "virtual/agv":
            return Vehicle(len(self._stations), rng, self._speed)
        if device.profile == "virtual/transfer":
            return TransferStation(self._node_of(device.id), self._speed)
        return None

    def _node_of(self, device: str) -> str:
        """The node that a transfer station stands at; empty when the graph has none with it."""
        stations = self._graph.stations.values() if self._graph is not None else ()
        own = [
            s.node
            for s in stations
            if isinstance(s.handshake, StationSignals) and s.handshake.device == device
        ]
        return own[0] if own else ""


def _written(subject: Machine | Vehicle | TransferStation | None) -> OnWrite | None:
    """What a write of a client does to what moves behind a server."""
    if not isinstance(subject, TransferStation):
        return None

    def release(tag: str, value: Value) -> None:
        if tag == "release":
            subject.release = bool(value)

    return release


def _served_by_vehicles(site: Site) -> set[str]:
    """Workcells of edges that have a vehicle on VDA 5050."""
    return {
        cell
        for edge in site.edges
        for cell in edge.workcells
        if any(device.profile == VEHICLE_PROFILE for device in edge.devices)
    }


def _vehicle(device: Device, edge: Edge, graph: SiteGraph | None, profile: AnyProfile, speed: float) -> Any:
    """A virtual AGV at its parking node, on the broker that the device's address names."""
    from drivers.vda5050.driver import parse_url
    from drivers.vda5050.profile import Vda5050Profile
    from drivers.vda5050.simulator import Vda5050Server
    from drivers.virtual.agv import VirtualAgv

    if not isinstance(profile, Vda5050Profile):
        raise TypeError(f"{device.profile} is no profile of a vehicle")
    host, port, who = parse_url(device.url, profile)
    agv = VirtualAgv(who, hurry=speed)
    if graph is not None:
        vehicles = [each.id for each in edge.devices if each.profile == VEHICLE_PROFILE]
        agv.node = graph.homes(vehicles)[device.id]
        spot = graph.nodes[agv.node]
        agv.x, agv.y, agv.map_id = spot.x, spot.y, spot.map
    return Vda5050Server(profile, host, port or 0, vehicle=who, agv=agv, patient=True)

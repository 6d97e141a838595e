"""``onelot driver simulate``: a profile served on its real protocol, moving, replaying and misbehaving."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from drivers.faults import Spell, fault_at, next_change
from drivers.playing import ByClock, Player, RowByRow
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from drivers.replay import Recording
from drivers.simulator import Movement, ProfileServer, show_blocks
from protocols.values import Value

MAX_UNITS = 100
_LAST_PORT = 65_535

STEP_S = 0.5
"""Seconds between two values that are made up."""
FAST_S = 0.05
"""The shortest wait between two rows of a recording; faster ones are passed over."""

Say = Callable[[str, Mapping[str, Any]], None]
"""Takes what happens: a line for people, and the same as data."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the simulated machines do."""

    faults: Sequence[Spell] = ()
    recordings: Mapping[str, Recording] = field(default_factory=dict)
    """By the machine of which they are: each is played by one. A single one is played by all."""
    speed: float = 1.0
    loop: bool = True
    every_row: bool = False
    """Pass over no row, however slowly the machines are read."""

    def __post_init__(self) -> None:
        if len(self.recordings) > MAX_UNITS:
            raise ValueError(
                f"recordings of {len(self.recordings)} machines: {MAX_UNITS} can be played at once"
            )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address."""
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


async def simulate(
    profile: AnyProfile, host: str, port: int, units: int, script: Script, say: Say, *, step: float = STEP_S
) -> None:
    """Serve a profile until cancelled, or until a recording that does not loop has ended.

    Several units share one port where the protocol has units, and have a port each where it has not.

    Raises:
        OSError: a port is taken.
        ValueError: there cannot be so many units, or their protocol does not tell what has been read.
    """
    kind = driver_type(profile.protocol)
    units = len(script.recordings) if len(script.recordings) > 1 else units
    if port + units - 1 > _LAST_PORT and not hasattr(kind.serve(profile, host, port), "adopt"):
        raise ValueError(f"{units} machines from port {port} on go past {_LAST_PORT}, the last port there is")
    servers: list[ProfileServer] = [kind.serve(profile, host, port)]
    alone: list[ProfileServer] = []
    for number in range(1, units):
        other: ProfileServer = kind.serve(profile, host, port + number if port else 0)
        adopt = getattr(servers[0], "adopt", None)
        if adopt is None:
            alone.append(other)
        else:
            adopt(other, servers[0].unit + number)  # type: ignore[attr-defined]
        servers.append(other)
    players = _players(servers, script)
    for player in players:
        player.step(0.0)  # the first row stands before anybody can read
    names = list(script.recordings) if len(script.recordings) > 1 else [""] * units
    async with AsyncExitStack() as stack:
        for server in (servers[0], *alone):
            await stack.enter_async_context(server)
        for server, name in zip(servers, names, strict=True):
            server.port = server.port if server in alone else servers[0].port
            said = {"event": "serving", "url": server.url, "tags": len(profile.tags)}
            whose = f", plays {name}" if name else ""
            text = f"{profile.vendor} {profile.model}: {len(profile.tags)} tags at {server.url}{whose}"
            say(text, {**said, "machine": name} if name else said)
        if not is_loopback(host):
            text = f"warning: {host} can be reached from other machines, and nobody is asked who they are"
            say(text, {"event": "warning", "text": text})
        await _play(servers, players, script, say, step)


def _players(servers: Sequence[ProfileServer], script: Script) -> list[Player]:
    recordings = list(script.recordings.values())
    if not recordings:
        return []
    if script.every_row and not servers[0].tells_reads:
        protocol = servers[0].profile.protocol
        raise ValueError(
            f"a simulated {protocol} machine does not tell what has been read — leave out --every-row"
        )
    if len(recordings) == 1:
        recordings *= len(servers)
    kind = RowByRow if script.every_row else ByClock
    return [
        kind(server, recording, script.speed, loop=script.loop)
        for server, recording in zip(servers, recordings, strict=True)
    ]


async def _play(
    servers: Sequence[ProfileServer], players: Sequence[Player], script: Script, say: Say, step: float
) -> None:
    clock = asyncio.get_running_loop().time
    movement, start = Movement(servers[0].profile), clock()
    played = {name for recording in script.recordings.values() for name in recording.tags}
    fault, shown = None, -1
    while True:
        seconds = clock() - start
        values = {name: value for name, value in movement.values(seconds).items() if name not in played}
        for number, server in enumerate(servers):
            if server.alive and not players:
                continue
            server.update(values if players else {**values, **_shifted(movement, seconds, number)})
        going_on = [player.step(seconds) for player in players]  # every one takes its step
        if players and not any(going_on):
            say("the recording has ended", {"event": "ended", "seconds": round(seconds, 3)})
            return
        if int(seconds) > shown:
            shown = int(seconds)
            for number, server in enumerate(servers):
                show_blocks(server, movement, shown + 37 * number)
        if (now := fault_at(script.faults, seconds)) is not fault:
            fault = now
            text = f"{seconds:.1f} s: {fault or 'well again'}"
            say(text, {"event": "fault", "fault": fault and str(fault), "seconds": round(seconds, 3)})
        for server in servers:
            server.fault = fault
        wait = min(step, next_change(script.faults, seconds) - seconds)
        await asyncio.sleep(max(min(wait, FAST_S) if players else wait, 0.001))


def _shifted(movement: Movement, seconds: float, number: int) -> dict[str, Value]:
    """Another unit's values: the same machine, some time ahead, so that units can be told apart."""
    return movement.values(seconds + 37.0 * number) if number else {}


def printer(as_json: bool, echo: Callable[[str], None]) -> Say:
    """Lines for people, or one JSON object a line for programs."""

    def say(text: str, data: Mapping[str, Any]) -> None:
        echo(json.dumps(data, ensure_ascii=False) if as_json else text)

    return say


def read_file(path: Path, limit: int) -> bytes:
    """A file, but no more than ``limit`` bytes and one."""
    with path.open("rb") as file:
        return file.read(limit + 1)

"""Two machines in this process whose part count rises when the bench says so, and the site they stand on."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import ProfileServer
from tests.bench.site import site
from tests.system.plant import Plant
from tests.system.processes import quiet_port

PROTOCOLS = {"modbus": "holding:0", "opcua": "ns=1;s=Count"}
SAMPLING = 0.1
"""Seconds between polls, and the publishing interval of the subscription."""


@dataclass(slots=True)
class Counter:
    """A machine with one tag: ``count``. ``shown`` has when (µs UTC) each value appeared at the source."""

    id: str
    server: ProfileServer
    count: int = 0
    shown: dict[int, int] = field(default_factory=dict)

    def advance(self) -> None:
        """Show the next number."""
        self.count += 1
        self.server.set("count", self.count)
        self.shown[self.count] = time.time_ns() // 1000


@contextlib.asynccontextmanager
async def counting() -> AsyncIterator[tuple[Plant, dict[str, Counter]]]:
    """A started plant with a counting machine on each protocol."""
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        counters: dict[str, Counter] = {}
        for protocol in PROTOCOLS:
            profile = load_profile(_write(folder, protocol))
            server = driver_type(protocol).serve(profile, port=quiet_port())
            await stack.enter_async_context(server)
            counters[protocol] = Counter(f"{protocol}-1", server)
        machines = {each.id: (f"bench/{name}", each.server.url) for name, each in counters.items()}
        made = await stack.enter_async_context(site(folder, machines))
        await made.start()
        yield made, counters


def _write(folder: Path, protocol: str) -> Path:
    path = folder / f"bench/{protocol}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {
        "vendor": "Bench",
        "model": protocol,
        "protocol": protocol,
        "tags": {
            "count": {
                "address": PROTOCOLS[protocol],
                "type": "uint32",
                "sampling": SAMPLING,
                "role": "part_count",
            }
        },
    }
    if protocol == "opcua":
        profile["opcua"] = {"namespaces": ["urn:onelot:bench"]}
    path.write_text(json.dumps(profile), "utf-8")
    return path


async def newest(made: Plant, device: str) -> dict[str, Any]:
    """The newest value of a machine's count as the cloud has it: ``ts`` (µs UTC), ``value``, ``quality``."""
    tags: list[dict[str, Any]] = await made.get("/tags", device=device)
    return tags[0] if tags else {"ts": None, "value": None, "quality": None}

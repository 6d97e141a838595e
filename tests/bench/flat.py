"""An OPC UA server with many variables in one folder, in a process of its own: asyncua's or node-opcua.

Both show ``nsu=urn:onelot:bench;s=Flat`` and below it ``i=1``, ``i=2``, … of type Double. They differ in what
they make of a request for 1,000 references: node-opcua gives a page and a continuation point, asyncua's
server gives everything in one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psutil
from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeValue, NodeData
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from drivers.opcua.simulator import LightServer
from tests.bench.figures import progress
from tests.system.foreign_programs import NODE_OPCUA, node
from tests.system.processes import ROOT, quiet_port

URI = "urn:onelot:bench"
START_S = 240.0
"""Seconds that a server may take to lay out its nodes."""


@dataclass(frozen=True, slots=True)
class Flat:
    """The server as the bench has it in hand. ``layout`` are the seconds it took to lay out its nodes."""

    name: str
    url: str
    layout: float
    process: psutil.Process

    def cpu(self) -> float:
        """CPU seconds since its start."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory now, in MB."""
        return float(self.process.memory_info().rss) / 1e6


@contextlib.asynccontextmanager
async def flat(name: str, count: int) -> AsyncIterator[Flat]:
    """Serve so many variables until the block is left; ``name`` is ``asyncua`` or ``node-opcua``.

    Raises:
        TimeoutError: it was not ready within ``START_S``.
    """
    port = quiet_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.flat", str(port), str(count)]
        if name == "node-opcua":
            command = await asyncio.to_thread(node, NODE_OPCUA, "flat.js", str(port), folder, str(count))
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(START_S):
                await _ready(name, process)
            layout = time.perf_counter() - began
            yield Flat(name, f"opc.tcp://127.0.0.1:{port}", layout, psutil.Process(process.pid))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _ready(name: str, process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while line := (await process.stdout.readline()).decode().strip():
        if line == "ready":
            return
        if line.endswith("variables"):
            progress(f"{name}: {line}")
    raise RuntimeError(f"{name} ended before it was ready")


async def serve(port: int, count: int) -> None:
    """Be asyncua's server until killed."""
    server = Server(LightServer())
    server.disable_clock()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    number = await server.register_namespace(URI)
    folder = await server.nodes.objects.add_folder(ua.NodeId("Flat", number), "Flat")  # type: ignore[arg-type]
    first = await folder.add_variable(ua.NodeId(1, number), "Tag0", 0.0)  # type: ignore[arg-type]
    space = server.iserver.aspace
    pattern = space[first.nodeid]
    (reference,) = [each for each in space[folder.nodeid].references if each.NodeId == first.nodeid]
    for n in range(1, count):
        _alike(space, space[folder.nodeid], pattern, reference, n)
        if n % max(1, count // 4) == 0:
            print(f"{n} variables", flush=True)
    async with server:
        print("ready", flush=True)
        await asyncio.Event().wait()


def _alike(
    space: AddressSpace, folder: NodeData, pattern: NodeData, reference: ua.ReferenceDescription, n: int
) -> None:
    """One more variable: attributes that are the same for all are held once, not 100,000 times."""
    value = pattern.attributes[AttributeIds.Value].value
    assert value is not None
    node = NodeData(ua.NodeId(n + 1, pattern.nodeid.NamespaceIndex))  # type: ignore[arg-type]
    name = ua.QualifiedName(f"Tag{n}", pattern.nodeid.NamespaceIndex)
    shown = ua.LocalizedText(name.Name)
    node.references = list(pattern.references)
    node.attributes = {
        **pattern.attributes,
        AttributeIds.NodeId: AttributeValue(ua.DataValue(ua.Variant(node.nodeid, ua.VariantType.NodeId))),
        AttributeIds.BrowseName: AttributeValue(ua.DataValue(ua.Variant(name))),
        AttributeIds.DisplayName: AttributeValue(ua.DataValue(ua.Variant(shown))),
        AttributeIds.Value: AttributeValue(value),
    }
    space[node.nodeid] = node
    folder.references.append(
        ua.ReferenceDescription(
            reference.ReferenceTypeId,
            True,
            node.nodeid,
            name,
            shown,
            reference.NodeClass,
            reference.TypeDefinition,
        )
    )


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))

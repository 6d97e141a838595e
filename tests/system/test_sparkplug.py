"""Sparkplug B with implementations that are not ours: a host on pysparkplug, a node on sparkplug-client."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from protocols.sparkplug_host import edge_id
from tests.system.accounts import Accounts
from tests.system.foreign_programs import CACHE, FOREIGN, SPARKPLUG_CLIENT, fetched, node
from tests.system.machines import Press
from tests.system.plant import Machine, plant
from tests.system.processes import Process, until

PYSPARKPLUG = "0.6.1"

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("npm", "mosquitto"),
    pytest.mark.timeout(600),  # the first time both are fetched
]


def foreign_host() -> list[str]:
    """The command that runs pysparkplug's host."""
    home = CACHE / f"pysparkplug-{PYSPARKPLUG}"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=False)
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    fetched(home, [*uv, f"pysparkplug=={PYSPARKPLUG}"], "pysparkplug")
    return [str(python), "-W", "ignore", str(FOREIGN / "sparkplug_host.py")]


def foreign_node() -> list[str]:
    """The command that runs sparkplug-client's node."""
    return node(SPARKPLUG_CLIENT, "sparkplug_node.js")


class Host(Process):
    """The foreign host, and what it has heard."""

    def heard(self, *kinds: str) -> list[dict[str, Any]]:
        """Messages of some kinds, in order, over all its starts."""
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in found if not kinds or one["kind"] in kinds]

    def counted(self) -> list[tuple[int, bool]]:
        """Every counter value that came, and whether as history."""
        return [
            (metric["value"], metric["historical"])
            for one in self.heard("DBIRTH", "DDATA")
            for metric in one["metrics"]
            if metric["name"] == "counter" and metric["value"] is not None
        ]


async def test_a_foreign_host_misses_nothing_while_it_is_away(tmp_path: Path) -> None:
    command = foreign_host()
    async with Press() as press:
        machines = [Machine("press-1", "test/press", press.url)]
        config = {"sparkplug": {"group": "works", "node": "hall-3", "primary_host": "scada"}}
        async with plant(tmp_path, {"workshop": machines}, more_edge=config) as site:
            await site.start()
            health = await site.edge_health("workshop")
            assert health is not None
            assert health["sparkplug"]["state"] == "waiting", "its host is not there yet"
            assert "scada" in health["sparkplug"]["problem"]
            arguments = [str(site.broker.port), "works", "scada"]
            host = Host("host", [*command, *arguments], tmp_path / "h.log")
            host.start()
            try:
                await _counts(host, 10)
                births = host.heard("NBIRTH", "DBIRTH")
                assert [(one["kind"], one["device"]) for one in births[:2]] == [
                    ("NBIRTH", ""),
                    ("DBIRTH", "press-1"),
                ]
                assert births[0]["seq"] == 0
                seqs = [one["seq"] for one in host.heard() if one["seq"] is not None]
                assert seqs == [number % 256 for number in range(len(seqs))]
                force = next(m for m in births[1]["metrics"] if m["name"] == "force")
                assert (force["value"], force["type"]) == (40.0, "FLOAT")

                await host.kill()
                await _state(site, "waiting")
                health = await site.edge_health("workshop")
                assert health is not None
                before = press.get("counter")
                assert isinstance(before, int)

                async def much_is_waiting() -> bool:
                    health = await site.edge_health("workshop")
                    return health is not None and health["sparkplug"]["waiting"] > 20

                await until(much_is_waiting, "samples wait for the host")
                await site.edges["workshop"].process.kill()
                site.edges["workshop"].process.start()
                host.start()
                await _counts(host, before + 40)
                assert host.heard("NBIRTH")[-1]["metrics"][0]["value"] != births[0]["metrics"][0]["value"]

                async def nothing_waits() -> bool:
                    health = await site.edge_health("workshop")
                    return health is not None and health["sparkplug"]["waiting"] == 0

                await until(nothing_waits, "the backlog is through", 60)
            finally:
                await host.stop()
            counted = host.counted()
            assert any(historical for _, historical in counted)
            ledgered = {
                int(str(sample.value))
                for _, sample in Accounts.of(site.ledger).story("workshop", "press-1/counter").samples.items()
                if sample.quality == 0
            }
            first = min(value for value, _ in counted)
            last = max(value for value, historical in counted if not historical)
            came = {value for value, _ in counted}
            missing = {value for value in ledgered if first <= value <= last} - came
            assert not missing, (
                f"{len(missing)} of {last - first + 1} values never came: {sorted(missing)[:20]}"
            )


async def _counts(host: Host, least: int) -> None:
    async def is_there() -> bool:
        host.check()
        return any(value >= least and not historical for value, historical in host.counted())

    await until(is_there, f"the host hears of {least}", 90)


async def _state(site: Any, wanted: str) -> None:
    async def is_so() -> bool:
        health = await site.edge_health("workshop")
        return health is not None and health["sparkplug"]["state"] == wanted

    await until(is_so, f"the node is {wanted}", 60)


async def test_a_foreign_node_arrives_in_ledger_history_and_page(tmp_path: Path) -> None:
    command = foreign_node()
    config = {"sparkplug": {"groups": ["plant"]}}
    async with Press() as press:
        machines = [Machine("press-1", "test/press", press.url)]
        async with plant(tmp_path, {"workshop": machines}, more_cloud=config) as site:
            await site.start()
            arguments = [str(site.broker.port), "plant", "Line 7"]
            node = Process("node", [*command, *arguments], tmp_path / "n.log")
            node.start()
            pump = "spBv1.0/plant/Line 7/pump"
            wanted = {
                "pressure": (4.25, "bar"),
                "offset": (-300, ""),
                "total": (9007199254740991, ""),
                "running": (True, ""),
                "recipe": ("研磨-7", ""),
            }
            found: dict[str, Any] = {}
            try:

                async def shown() -> bool:
                    node.check()
                    for tag in await site.get("/tags", device=pump):
                        found[tag["path"].removeprefix(f"{pump}/")] = tag
                    return wanted.keys() <= found.keys()

                await until(shown, "the pump's values arrive", 60, 0.2)
                assert {name: (found[name]["value"], found[name]["unit"]) for name in wanted} == wanted

                edge = edge_id("plant", "Line 7")

                async def counts() -> bool:
                    node.check()
                    story = Accounts.of(site.ledger).story(edge, f"{pump}/count")
                    return len(story.samples) >= 20

                await until(counts, "twenty values in the ledger", 60, 0.2)

                async def drawn() -> bool:
                    told = await site.get(f"/history/{found['count']['id']}", start=0, end=2**61)
                    return bool(told["values"])

                await until(drawn, "values in the history, which follows the ledger", 60, 0.2)

                # The service forgets the births when it starts anew: it asks for them and goes on.
                await site.cloud.kill()
                site.cloud.start()
                await site.ready()

                async def goes_on() -> bool:
                    node.check()
                    story = Accounts.of(site.ledger).story(edge, f"{pump}/count")
                    return len(story.samples) >= 40

                await until(goes_on, "values after the restart", 60, 0.2)
                assert "rebirth" in node.tail()
                health = await site.cloud_health()
                assert health is not None
                assert health["sparkplug"]["connected"]
                assert health["samples"]["duplicated"] == 0
            finally:
                await node.stop()

            async def is_gone() -> bool:
                machines = await site.get("/machines")
                return any(m["id"] == pump and not m["connected"] for m in machines)

            await until(is_gone, "the pump is lost when its node dies", 30, 0.2)

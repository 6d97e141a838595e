"""What strangers, offices and integrators get wrong: a clear answer, and nothing is lost or stops."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers import MosquittoServer
from tests.system.processes import ROOT, onelot, until
from tests.system.scene import NORTH, SOUTH, Scene, scene

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

_UP = "onelot/v1/edges/{}/up/{}"
_DOWN = "onelot/v1/edges/{}/down/{}"
_NOISE = random.Random(4).randbytes
QUARANTINED = [
    (_UP.format(NORTH, "telemetry"), b"garbage"),
    (_UP.format(NORTH, "actions"), b""),
    (_UP.format(SOUTH, "states"), b"\xff" * 40),
    (_UP.format(NORTH, "session"), b"\x93\x01"),
    (_UP.format(SOUTH, "bulk"), _NOISE(600_000)),
]
"""Topics of ours with payloads that are nothing."""
IGNORED = [
    (_UP.format("stranger", "telemetry"), _NOISE(2000)),
    (_UP.format(NORTH, "nonsense"), b"garbage"),
    (_DOWN.format(NORTH, "session"), b"garbage"),
    (_DOWN.format(NORTH, "jobs"), _NOISE(2000)),
    (_DOWN.format(SOUTH, "release"), b""),
    (_DOWN.format(SOUTH, "nonsense"), b"garbage"),
    ("somebody/else", b"garbage"),
]
"""What the cloud need not keep: other edges than the site's, other topics, and noise that the edges must
bear."""


@pytest.mark.needs("mosquitto")
async def test_garbage_impossible_orders_and_a_spoilt_file_stop_nobody(tmp_path: Path) -> None:
    async with scene(tmp_path, 5) as now:
        await now.worked(2)
        await _garbage(now)
        await _impossible_order(now)
        await _spoilt_file(now)
        await now.worked(2)
        accounts = await now.settle_and_compare()
        assert accounts.quarantined == len(QUARANTINED)


async def _garbage(now: Scene) -> None:
    await asyncio.to_thread(_publish, now.plant.broker, QUARANTINED + IGNORED)

    async def counted() -> bool:
        health = await now.plant.cloud_health()
        return health is not None and health["ingest"]["quarantined"] == len(QUARANTINED)

    await until(counted, f"the cloud has quarantined {len(QUARANTINED)} messages")
    for edge, least in ((NORTH, 2), (SOUTH, 1)):
        await _counted_undecodable(now, edge, least)
    await now.worked(2)
    now.plant.check()


def _publish(broker: MosquittoServer, messages: list[tuple[str, bytes]]) -> None:
    """Publish as a client that nobody knows; returns when the broker has everything."""
    client = Client(CallbackAPIVersion.VERSION2, client_id="stranger")
    there = threading.Event()
    client.on_connect = lambda *_: there.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        assert there.wait(10)
        for topic, payload in messages:
            client.publish(topic, payload, qos=1).wait_for_publish(10)
    finally:
        client.disconnect()
        client.loop_stop()


async def _counted_undecodable(now: Scene, edge: str, least: int) -> None:
    """Wait until an edge's own metrics say that it could not read so many messages: the broker hands them to
    it and to the cloud in no order."""

    async def counted() -> bool:
        text = (await now.plant.http.get(f"{now.plant.edges[edge].url}/metrics")).text
        found = re.search(r"^onelot_\w*undecodable\w* ([\d.]+)$", text, re.MULTILINE)
        assert found is not None, text
        return float(found[1]) >= least

    await until(counted, f"{edge} has counted {least} messages it could not read")


async def _impossible_order(now: Scene) -> None:
    """Everything that is wrong with it at once, and where; nothing is ordered."""
    before = await now.plant.get("/orders")
    asked: dict[str, Any] = {
        "due": "2001-01-01T12:00:00Z",
        "priority": 99,
        "lines": [
            {"product": "part-pres-1", "quantity": 1},
            {"product": "part-press-1", "quantity": -3, "parameters": {"colour": "red"}},
            {"product": "part-lathe-1", "quantity": "1.5"},
        ],
    }
    answer = await now.plant.api("POST", "/orders", json=asked)
    problem = answer.json()
    said = {item["path"]: item["message"] for item in problem["problems"]}
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "in the past" in said["due"] and "99" in said["priority"]
    assert "did you mean part-press-1?" in said["lines.0.product"]
    assert "-3" in said["lines.1.quantity"] and "1.5" in said["lines.2.quantity"]
    assert any(path.startswith("lines.1.parameters") for path in said)
    assert await now.plant.get("/orders") == before


async def _spoilt_file(now: Scene) -> None:
    """Somebody spoils the configuration of a running edge: it runs on, and no other starts from it."""
    edge = now.plant.edges[NORTH]
    kept = edge.config.read_text("utf-8")
    edge.config.write_text(kept.replace('"broker"', '"brokr"'), "utf-8")
    done = await asyncio.to_thread(_run, "edge", "--config", edge.config)
    edge.config.write_text(kept, "utf-8")
    assert done.returncode == 2
    assert "did you mean broker?" in done.stderr
    await now.worked(1)


EDGE_YAML = """\
edge: north
site: site.yaml
profiles: profiles
data: data
broker:
  host: 127.0.0.1
  port: 1883
api: {port: 8801}
"""
SITE_YAML = """\
id: test
uuid: 0a6f3b3e-5f0c-4d0e-9d7e-3f3c0a4d7a11
title: Test
areas:
  - id: hall
    uuid: 0a6f3b3e-5f0c-4d0e-9d7e-3f3c0a4d7a12
    title: Hall
    lines:
      - id: line
        uuid: 0a6f3b3e-5f0c-4d0e-9d7e-3f3c0a4d7a13
        title: Line
        workcells:
          - {id: press-1, uuid: 0a6f3b3e-5f0c-4d0e-9d7e-3f3c0a4d7a14, title: Press, kind: press}
edges:
  - id: north
    workcells: [press-1]
    devices:
      - id: press-1
        asset: 0a6f3b3e-5f0c-4d0e-9d7e-3f3c0a4d7a15
        profile: acme/press
        url: modbus://127.0.0.1:502
        workcells: [press-1]
products: []
"""
PROFILE_YAML = """\
vendor: Acme
model: press
protocol: modbus
tags:
  force: {address: "holding:4", type: float32, word_order: CDAB}
"""
CLOUD_YAML = """\
site: site.yaml
data: cloud
http:
  port: 8080
"""

MISTAKES = {
    "unknown key": (
        "edge",
        "edge.yaml",
        "broker:",
        "brokr:",
        r"edge\.yaml:5:1 .*unknown key .brokr. .*did you mean broker\?",
    ),
    "wrong type": ("edge", "edge.yaml", "port: 1883", "port: many", r"edge\.yaml:7:\d+ .*broker\.port.*many"),
    "no such edge": ("edge", "edge.yaml", "edge: north", "edge: nort", r"edge\.yaml:1:\d+ .*nort.*north"),
    "not YAML": ("edge", "edge.yaml", "data: data", "data: [data", r"edge\.yaml:\d+:\d+ "),
    "a site that names no profile of ours": (
        "edge",
        "site.yaml",
        "acme/press",
        "acme/pres",
        r"site\.yaml:20:\d+ .*acme/pres.*did you mean acme/press\?",
    ),
    "a profile's word order": (
        "edge",
        "profiles/acme/press.yaml",
        "CDAB",
        "CBAD",
        r"press\.yaml:5:\d+ .*CBAD.*ABCD, CDAB, BADC, DCBA",
    ),
    "a profile's address": (
        "edge",
        "profiles/acme/press.yaml",
        "holding:4",
        "holdin:4",
        r"press\.yaml:5:\d+ .*holdin.*did you mean holding\?",
    ),
    "a port that is none": (
        "cloud",
        "cloud.yaml",
        "port: 8080",
        "port: 808080",
        r"cloud\.yaml:4:\d+ .*808080.*65535",
    ),
    "an id with a space": (
        "cloud",
        "site.yaml",
        "id: line\n",
        "id: Line 1\n",
        r"site\.yaml:9:\d+ ",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_configuration_error_says_where_what_and_what_would_be_right(mistake: str, tmp_path: Path) -> None:
    command, spoilt, right, wrong, said = MISTAKES[mistake]
    files = {
        "edge.yaml": EDGE_YAML,
        "site.yaml": SITE_YAML,
        "profiles/acme/press.yaml": PROFILE_YAML,
        "cloud.yaml": CLOUD_YAML,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace(right, wrong) if name == spoilt else text, "utf-8")
    assert right in files[spoilt]

    done = _run(command, "--config", tmp_path / f"{command}.yaml")

    assert done.returncode == 2, done.stderr
    assert re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists() and not (tmp_path / "cloud").exists()


def test_the_configuration_they_spoil_is_right(tmp_path: Path) -> None:
    for name, text in {
        "edge.yaml": EDGE_YAML,
        "site.yaml": SITE_YAML,
        "profiles/acme/press.yaml": PROFILE_YAML,
        "cloud.yaml": CLOUD_YAML,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    for command in ("edge", "cloud"):
        done = _run(command, "--config", tmp_path / f"{command}.yaml", "--check")
        assert done.returncode == 0, done.stderr
        assert "all well" in done.stdout


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        onelot(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

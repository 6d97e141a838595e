"""What the demo writes before it starts anything: a site of its own, configurations, free ports.

``speed`` warps no clock. Durations of the products, changeovers and transports are divided in a copy of
the site's files; every part of OneLot then simply works with shorter times.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ruamel.yaml import YAML

SITE = "demo"
HOST = "127.0.0.1"
REPAIR_SECONDS = 5400
"""How long a repair takes in factory time."""
FIRMWARE_CONFIGS = Path(__file__).resolve().parents[2] / "firmware_configs"
"""Beside the packages, in a checkout as in an installation."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one demo lies and listens."""

    folder: Path
    site: Path
    profiles: Path
    edges: Mapping[str, Path]
    """Configuration file by edge id."""
    cloud: Path
    broker_port: int
    http_port: int
    panel_port: int
    api_ports: Mapping[str, int]

    @property
    def page(self) -> str:
        return f"http://{HOST}:{self.http_port}"

    def edge_api(self, edge: str) -> str:
        return f"http://{HOST}:{self.api_ports[edge]}"

    def edge_data(self, edge: str) -> Path:
        return self.folder / "edges" / edge

    @property
    def cloud_data(self) -> Path:
        return self.folder / "cloud"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


class Ports:
    """Hands out free loopback ports, each once: they stay bound until :meth:`release`."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self, wanted: int = 0) -> int:
        """A free port, ``wanted`` if it is free."""
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, wanted))
        except OSError:
            held.bind((HOST, 0))
        self._held.append(held)
        return int(held.getsockname()[1])

    def release(self) -> None:
        """Let go of all of them: what they were taken for may bind now."""
        for held in self._held:
            held.close()
        self._held.clear()


def lay_out(folder: Path, *, speed: float, http_port: int = 0) -> Layout:
    """Write the demo's files below ``folder`` and choose its ports."""
    source = FIRMWARE_CONFIGS
    ports = Ports()
    try:
        broker = ports.take()
        site_file = _write_site(source, folder, speed, ports, broker)
        site = _load(site_file)
        http, panel = ports.take(http_port), ports.take()
        apis = {edge["id"]: ports.take() for edge in site["edges"]}
    finally:
        ports.release()
    layout = Layout(
        folder=folder,
        site=site_file,
        profiles=source / "profiles",
        edges={edge: folder / "edges" / f"{edge}.yaml" for edge in apis},
        cloud=folder / "cloud.yaml",
        broker_port=broker,
        http_port=http,
        panel_port=panel,
        api_ports=apis,
    )
    for edge, file in layout.edges.items():
        _dump(file, _edge_config(layout, edge))
    _dump(layout.cloud, _cloud_config(layout, speed))
    layout.logs.mkdir(parents=True, exist_ok=True)
    return layout


def shortened(product: dict[str, Any], speed: float) -> dict[str, Any]:
    """A product whose operations take ``speed`` times less time, to the millisecond."""
    operations = [
        {
            **operation,
            **{
                name: max(0.001, round(float(operation[name]) / speed, 3)) if float(operation[name]) else 0
                for name in ("setup_seconds", "seconds_per_run", "seconds_per_piece")
                if name in operation
            },
            **({"wait": _shortened_wait(operation["wait"], speed)} if "wait" in operation else {}),
        }
        for operation in product["operations"]
    ]
    return {**product, "operations": operations}


def _shortened_wait(wait: Mapping[str, Any], speed: float) -> dict[str, Any]:
    short = {name: _short(wait[name], speed) for name in ("at_least", "at_most") if name in wait}
    return {**wait, **short}


def _write_site(source: Path, folder: Path, speed: float, ports: Ports, broker: int) -> Path:
    origin = source / "sites" / SITE
    site = _load(origin / "site.yaml")
    for area in site["areas"]:
        for line in area["lines"]:
            for cell in line["workcells"]:
                cell["changeover"] = _divided(cell.get("changeover", {}), speed)
    transport = site.get("transport", {})
    site["transport"] = {
        **transport,
        "default": _short(transport.get("default", 0), speed),
        "seconds": _divided(transport.get("seconds", {}), speed),
        "empty": _short(transport.get("empty", 0), speed),
    }
    site["maintenance"] = shortened_upkeep(site.get("maintenance", {}), speed)
    for edge in site["edges"]:
        for device in edge["devices"]:
            device["url"] = _moved(device["url"], ports, broker)
    target = folder / "site"
    for name in site["products"]:
        _dump(target / name, shortened(_load(origin / name), speed))
    if site.get("graph"):
        _dump(target / site["graph"], _load(origin / site["graph"]))
    _dump(target / "site.yaml", site)
    return target / "site.yaml"


def shortened_upkeep(maintenance: Mapping[str, Any], speed: float) -> dict[str, Any]:
    """The maintenance section of a site whose machines stand still ``speed`` times shorter."""
    spans = ("lead_hours", "within_hours")

    def rule(one: Mapping[str, Any]) -> dict[str, Any]:
        hours = {name: float(one[name]) / speed for name in spans if name in one}
        seconds = {"seconds": _short(one["seconds"], speed)} if "seconds" in one else {}
        return {**one, **hours, **seconds}

    return {**maintenance, "rules": [rule(one) for one in maintenance.get("rules", ())]}


def _divided(seconds: Mapping[str, int], speed: float) -> dict[str, int]:
    return {name: _short(value, speed) for name, value in seconds.items()}


def _short(seconds: int, speed: float) -> int:
    return max(1, round(seconds / speed)) if seconds else 0


def _moved(url: str, ports: Ports, broker: int) -> str:
    """A machine on a port of its own; a vehicle on the demo's broker."""
    parts = urlsplit(url)
    port = broker if parts.scheme == "vda5050" else ports.take(parts.port or 0)
    return urlunsplit(parts._replace(netloc=f"{HOST}:{port}"))


def _edge_config(layout: Layout, edge: str) -> dict[str, Any]:
    return {
        "edge": edge,
        "site": str(layout.site),
        "profiles": str(layout.profiles),
        "data": str(layout.edge_data(edge)),
        "broker": {"host": HOST, "port": layout.broker_port},
        "api": {"host": HOST, "port": layout.api_ports[edge]},
    }


def _cloud_config(layout: Layout, speed: float) -> dict[str, Any]:
    return {
        "site": str(layout.site),
        "data": str(layout.cloud_data),
        "broker": {"host": HOST, "port": layout.broker_port},
        "http": {"host": HOST, "port": layout.http_port},
        "dispatch": {
            "solve_seconds": 1.5,
            "repair_seconds": _short(REPAIR_SECONDS, speed),
            "service_seconds": _short(REPAIR_SECONDS, speed),
        },
        # A minute of the factory's time, or what is learned would be a machine that is still cold.
        "maintenance": {"window": max(0.25, round(60 / speed, 2)), "limits": {"learn": 8}},
    }


def _load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def _dump(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.allow_unicode = True
    with path.open("w", encoding="utf-8") as file:
        writer.dump(content, file)

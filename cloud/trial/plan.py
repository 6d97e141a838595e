"""What a trial will start and where it will listen, as a folder's files say; checked before it starts."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.config import CloudConfig, load_config
from cloud.processes import HOST, listening, onelot
from protocols.documents import DocumentError

EDGE, CLOUD = "edge.yaml", "cloud.yaml"
EVERYWHERE = {"0.0.0.0": HOST, "::": "::1", "": HOST, "localhost": HOST}  # noqa: S104
"""Where to reach what listens on every address."""
_CONNECT = b"\x10\x14\x00\x04MQTT\x04\x02\x00\x0a\x00\x08onelotup"
"""An MQTT 3.1.1 CONNECT (clause 3.1) with a clean session."""
_CONNACK = 0x20


class CannotStart(Exception):
    """The trial cannot start like this; says everything that is in its way and what to change."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    @property
    def taken(self) -> bool:
        """Whether something accepts connections there."""
        return listening(self.port, self.host)()

    @property
    def url(self) -> str:
        """For a browser on this computer."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the parts of a folder listen and keep their data."""

    folder: Path
    broker: Address
    starts_broker: bool
    """Whether it is ours to start: not when one is there already, or on another computer."""
    page: Address
    api: Address
    cloud_data: Path
    edge_data: Path
    devices: Sequence[str]

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def plan(folder: Path) -> Plan:
    """Read and check the files of a folder, and look whether its ports are free.

    Raises:
        CannotStart: with every mistake in the files, or every port that is taken and the key that names it.
    """
    for name in (EDGE, CLOUD):
        if not (folder / name).is_file():
            raise CannotStart(
                f"there is no {folder / name}: onelot driver add URL --profile NAME makes one"
                + ("" if folder == Path() else f" with --site {folder}")
            )
    edge, cloud = _checked(folder)
    made = _planned(folder, edge, cloud)
    if wrong := list(_in_the_way(made, edge, cloud)):
        raise CannotStart("\n".join(wrong))
    return made


def _checked(folder: Path) -> tuple[Mapping[str, Any], CloudConfig]:
    """Let both parts check their files at once; what the edge says of itself, and the cloud's settings."""
    asked = [
        subprocess.Popen(
            onelot(part, "--config", str(folder / name), "--check", *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for part, name, more in (("edge", EDGE, ["--json"]), ("cloud", CLOUD, []))
    ]
    answers = [process.communicate() for process in asked]
    wrong = dict.fromkeys(
        line
        for process, (_, err) in zip(asked, answers, strict=True)
        if process.returncode
        for line in err.splitlines()
        if line.strip()
    )
    if wrong:  # both read the site: a mistake there is said once
        raise CannotStart("\n".join(wrong))
    try:
        return json.loads(answers[0][0]), load_config(folder / CLOUD)
    except DocumentError as error:
        raise CannotStart(str(error)) from None


def _planned(folder: Path, edge: Mapping[str, Any], cloud: CloudConfig) -> Plan:
    broker = Address(_near(edge["broker"]["host"]), edge["broker"]["port"])
    here = broker.host in (HOST, "::1") and not edge["broker"]["tls"]
    return Plan(
        folder=folder,
        broker=broker,
        starts_broker=here and not broker.taken,
        page=Address(_near(cloud.http.host), cloud.http.port),
        api=Address(_near(edge["api"]["host"]), edge["api"]["port"]),
        cloud_data=cloud.data,
        edge_data=Path(edge["data"]),
        devices=edge["devices"],
    )


def _near(host: str) -> str:
    return EVERYWHERE.get(host, host)


def _in_the_way(made: Plan, edge: Mapping[str, Any], cloud: CloudConfig) -> Iterator[str]:
    host, port = cloud.broker.address
    if (other := Address(_near(host), port)) != made.broker:
        yield f"{EDGE} connects to the broker {made.broker}, {CLOUD} to {other}: give both the same broker"
    if edge["site"] != (site := str(cloud.site.resolve())):
        yield f"{EDGE} is of the site {edge['site']}, {CLOUD} of {site}: give both the same site"
    if made.api.port == 0:
        yield f"{made.folder / EDGE} lets the system choose a port: write api: {{port: 8801}}"
    for address, file, key in ((made.page, CLOUD, "http"), (made.api, EDGE, "api")):
        if address.port and address.taken:
            yield (
                f"port {address.port} is taken by another program: change {key}: {{port: {address.port}}} in "
                f"{made.folder / file}"
            )
    if not made.starts_broker and not edge["broker"]["tls"]:
        if not made.broker.taken:
            yield f"no broker answers at {made.broker}: start it, or change broker in {EDGE} and {CLOUD}"
        elif not speaks_mqtt(made.broker):
            yield (
                f"port {made.broker.port} is taken by a program that is no MQTT broker: change "
                f"broker: {{port: {made.broker.port}}} in {made.folder / EDGE} and {made.folder / CLOUD}"
            )


def speaks_mqtt(address: Address) -> bool:
    """Whether what listens there answers an MQTT CONNECT, be it with a refusal."""
    try:
        with socket.create_connection((address.host, address.port), timeout=2) as connection:
            connection.sendall(_CONNECT)
            answer = connection.recv(4)
    except OSError:
        return False
    return bool(answer) and answer[0] == _CONNACK

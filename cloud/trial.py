"""``onelot up``: broker, cloud and edge of one folder, on this computer, for a trial.

What `onelot driver add` wrote runs as it is. On a real site each part is a service of its own; see
``docs/site.md``.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import httpx
import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cloud.api.accounts import FIRST_LOGIN_FILE
from cloud.demo.parts import listening
from cloud.demo.processes import Part, PartFailedError, broker_command, onelot

READY_SECONDS = 60.0
VALUE_SECONDS = 20.0
"""How long the first value of a machine is waited for; the trial goes on without."""
SHOWN = 6
"""Values of each device that are shown."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """Somebody asked the trial to end."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Where the parts of a folder listen and keep their data, as its files say."""

    folder: Path
    broker_port: int
    page_port: int
    api_port: int
    cloud_data: Path
    edge_data: Path

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.page_port}"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"


def command(
    folder: Annotated[Path, typer.Argument(help="Folder with site.yaml, edge.yaml and cloud.yaml.")] = Path(),
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Stop by itself after so many seconds.")
    ] = None,
) -> None:
    """Run broker, cloud and edge of a folder on this computer, for a trial; Ctrl-C ends it."""
    try:
        trial = _read(folder)
        _check(trial)
        for stopping in SIGNALS:
            signal.signal(stopping, _stop)
        with _running(trial) as parts:
            _tell(trial)
            _watch(parts, seconds)
    except StoppedError:
        typer.echo(f"stopped; data stays in {folder.resolve()}")
    except (PartFailedError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise StoppedError


def _read(folder: Path) -> Trial:
    """What the files say; raises OSError saying what is missing."""
    for name in ("edge.yaml", "cloud.yaml"):
        if not (folder / name).is_file():
            raise OSError(f"there is no {folder / name}: onelot driver add URL --profile NAME makes one")
    edge, cloud = _yaml(folder / "edge.yaml"), _yaml(folder / "cloud.yaml")
    return Trial(
        folder=folder,
        broker_port=int(_at(cloud, "broker", "port", 1883)),
        page_port=int(_at(cloud, "http", "port", 8080)),
        api_port=int(_at(edge, "api", "port", 8801)),
        cloud_data=folder / str(cloud.get("data", "data")),
        edge_data=folder / str(edge.get("data", "data")),
    )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except YAMLError as error:
        raise OSError(f"{path}: {error}") from None
    return found if isinstance(found, dict) else {}


def _at(content: dict[str, Any], part: str, key: str, default: int) -> int:
    found = content.get(part)
    return found.get(key, default) if isinstance(found, dict) else default


def _check(trial: Trial) -> None:
    """Let the parts check their files; raises OSError with what they say, or naming a port that is taken."""
    said = []
    for part in ("edge", "cloud"):
        checking = onelot(part, "--config", str(trial.folder / f"{part}.yaml"), "--check")
        done = subprocess.run(checking, capture_output=True, text=True, check=False)
        if done.returncode:
            said.append(done.stderr.strip())
    if said:
        raise OSError("\n".join(said))
    for port, where in (
        (trial.page_port, "http: {port: …} in cloud.yaml"),
        (trial.api_port, "api: {port: …} in edge.yaml"),
    ):
        if listening(port)():
            raise OSError(f"port {port} is taken by another program: change {where}")


@contextlib.contextmanager
def _running(trial: Trial) -> Iterator[list[Part]]:
    """All parts, started one after the other; stopped in the reverse order."""
    trial.logs.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    try:
        for part in _parts(trial):
            typer.echo(f"starting {part.name}")
            parts.append(part)
            part.start()
            part.wait_ready(READY_SECONDS)
        yield parts
    finally:
        for stopping in SIGNALS:
            signal.signal(stopping, signal.SIG_IGN)
        for part in reversed(parts):
            if not part.stop():
                typer.echo(f"{part.name} did not stop by itself and was killed", err=True)


def _parts(trial: Trial) -> Iterator[Part]:
    def answers(url: str) -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    if listening(trial.broker_port)():
        typer.echo(f"using the broker that listens on port {trial.broker_port}")
    else:
        name, broker = broker_command(trial.logs, trial.broker_port)
        yield Part(name, broker, trial.logs / "broker.log", listening(trial.broker_port))
    for part, url in (("cloud", trial.page), ("edge", trial.api)):
        config = str(trial.folder / f"{part}.yaml")
        log = trial.logs / f"{part}.log"
        yield Part(part, onelot(part, "--config", config), log, lambda url=url: answers(url))  # type: ignore[misc]


def _tell(trial: Trial) -> None:
    """The page, how to log in, and the first values of each machine."""
    typer.echo(f"\npage     {trial.page}")
    login = trial.cloud_data / FIRST_LOGIN_FILE
    if login.exists():
        user, password = _login(login)
        typer.echo(f"login    {user} / {password}   (from {login})")
    devices = _devices(trial)
    values = _values(trial, devices) if login.exists() else {}
    for device in devices:
        typer.echo(f"\n{device['id']}  {'connected' if device['connected'] else '✕ ' + device['detail']}")
        for line in values.get(device["id"], []):
            typer.echo(f"  {line}")
        for tag, why in list(device["problems"].items())[:SHOWN]:
            typer.echo(f"  ✕ {tag}: {why}")
    typer.echo("\nA trial on this computer. Ctrl-C ends it.")


def _login(file: Path) -> tuple[str, str]:
    lines = dict(line.split(": ", 1) for line in file.read_text("utf-8").splitlines() if ": " in line)
    return lines["user"], lines["password"]


def _devices(trial: Trial) -> list[dict[str, Any]]:
    """The machines as the edge has them, once one has answered or the patience is over."""
    until = time.monotonic() + VALUE_SECONDS
    while True:
        found: list[dict[str, Any]] = httpx.get(f"{trial.api}/health", trust_env=False).json()["devices"]
        if all(device["connected"] for device in found) or time.monotonic() > until:
            return found
        time.sleep(0.2)


def _values(trial: Trial, devices: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Name, value and unit of the first tags of each device, as the page's API has them."""
    user, password = _login(trial.cloud_data / FIRST_LOGIN_FILE)
    found: dict[str, list[str]] = {}
    with httpx.Client(base_url=f"{trial.page}/api/v1", trust_env=False, timeout=5) as http:
        answer = http.post("/session", json={"user": user, "password": password})
        if not answer.is_success:  # the password was changed: the page shows the values all the same
            return {}
        http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        until = time.monotonic() + VALUE_SECONDS
        for device in (device for device in devices if device["connected"]):
            while not found.get(device["id"]) and time.monotonic() < until:
                tags = http.get("/tags", params={"device": device["id"]}).json()
                live = [tag for tag in tags if tag["value"] is not None]
                found[device["id"]] = [_shown(device["id"], tag) for tag in live[:SHOWN]]
                time.sleep(0.2)
    return found


def _shown(device: str, tag: dict[str, Any]) -> str:
    name, value = tag["path"].removeprefix(f"{device}/"), tag["value"]
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return f"{name:<20} {text} {tag['unit']}".rstrip()


def _watch(parts: list[Part], seconds: float | None) -> None:
    """Until somebody stops it, the time is over, or a part ends by itself."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        for part in parts:
            part.check()
        time.sleep(0.25)

"""The files of a small site, begun or extended by one machine: drafted in a folder of their own, checked as a
whole the way the edge reads them, and only then put where they belong.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from drivers.profile import AnyProfile
from edge.config import load_setup
from protocols.documents import DocumentError, Problem, not_one_of, read

SITE, EDGE, CLOUD = "site.yaml", "edge.yaml", "cloud.yaml"
EDGE_ID = "hall"
"""The edge of a site that is begun here; another name is as good."""

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_EDGE = {
    "edge": EDGE_ID,
    "site": SITE,
    "profiles": "profiles",
    "data": "edge-data",
    "broker": {"host": "127.0.0.1", "port": 1883},
    "api": {"port": 8801},
}
_CLOUD = {
    "site": SITE,
    "data": "cloud-data",
    "broker": {"host": "127.0.0.1", "port": 1883},
    "http": {"port": 8080},
}


class CannotAdd(Exception):
    """The machine does not fit into the files that are there; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is to be added. Empty ``name`` and ``workcell`` are made up; ``options`` are the driver's."""

    url: str
    file: Path
    profile: AnyProfile
    name: str = ""
    workcell: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """Files as they would be. ``changed`` names those that differ, relative to the site's folder."""

    folder: Path
    device: str
    workcell: str
    profile: str
    changed: dict[str, str]
    kept: list[str]

    def check(self) -> None:
        """Read everything as the edge would; raises DocumentError naming the files by their real places."""
        with tempfile.TemporaryDirectory(prefix="onelot-") as name:
            trial = Path(name).resolve()
            for file in _files(self.folder):
                target = trial / file.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            for file_name, text in self.changed.items():
                target = trial / file_name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, "utf-8")
            try:
                load_setup(trial / EDGE)
            except DocumentError as error:
                real = str(self.folder.resolve())
                moved = [_moved(problem, str(trial), real) for problem in error.problems]
                raise DocumentError(moved) from None

    def write(self) -> list[Path]:
        """Put the files in place, each in one step; the list of them."""
        written = []
        for name, text in self.changed.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.new")
            beside.write_text(text, "utf-8")
            os.replace(beside, target)
            written.append(target)
        return written


def draft(machine: Machine, folder: Path, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> Draft:
    """The files with one machine more.

    Raises:
        CannotAdd: its name, address or workcell is taken, or ``edge.yaml`` is not one of this kind of folder.
        DocumentError: a file that is there is no YAML.
    """
    profile = f"{_slug(machine.profile.vendor)}/{_slug(machine.profile.model)}"
    changed: dict[str, str] = {}
    kept: list[str] = []
    _take_profile(folder, machine.file, f"profiles/{profile}.yaml", changed, kept)
    edge = _loaded(folder / EDGE)
    if edge is None:
        changed[EDGE] = _text(_EDGE)
        edge = _EDGE
    elif edge.get("site") != SITE or edge.get("profiles") != "profiles":
        raise CannotAdd(
            f"{folder / EDGE} keeps its site or profiles elsewhere: add it to {edge.get('site')} by hand"
        )
    if not (folder / CLOUD).exists():
        changed[CLOUD] = _text(_CLOUD)
    site = _loaded(folder / SITE) or _site(folder, str(edge["edge"]), new_uuid)
    device, workcell = _place(site, str(edge["edge"]), machine, profile, new_uuid)
    changed[SITE] = _text(site)
    return Draft(folder, device, workcell, profile, changed, kept)


def _take_profile(folder: Path, file: Path, name: str, changed: dict[str, str], kept: list[str]) -> None:
    """A copy of the profile; one that is there already stays as it was edited."""
    text = file.read_text("utf-8")
    target = folder / name
    if not target.exists():
        changed[name] = text
    elif target.read_text("utf-8") != text:
        kept.append(f"{target} (it was there, and differs from {file})")


def _place(
    site: Any, edge_id: str, machine: Machine, profile: str, new_uuid: Callable[[], uuid.UUID]
) -> tuple[str, str]:
    """Put device and workcell into the site; their names."""
    edge = next((edge for edge in site["edges"] if edge["id"] == edge_id), None)
    if edge is None:
        known = [str(edge["id"]) for edge in site["edges"]]
        raise CannotAdd(f"{EDGE} is of edge {not_one_of(edge_id, known)} (edges of {SITE})")
    for option, name in (("--name", machine.name), ("--workcell", machine.workcell)):
        if name and not _NAME.fullmatch(name):
            better = _slug(name)[:32]
            raise CannotAdd(f'{option} "{name}": a name has a-z, 0-9 and -, at most 32 — write {better}')
    devices = {str(d["id"]): d for each in site["edges"] for d in each.get("devices") or ()}
    if machine.name in devices:
        raise CannotAdd(f'there is a device "{machine.name}" already: choose another --name')
    for name, device in devices.items():
        if device["url"] == machine.url:
            raise CannotAdd(f'{machine.url} is device "{name}" already: change it in {SITE}')
    device = machine.name or _free(_slug(machine.profile.model), devices)
    cells = {
        str(cell["id"]): cell
        for area in site["areas"]
        for line in area["lines"]
        for cell in line["workcells"]
    }
    workcell = machine.workcell or device
    if workcell not in cells:
        line = site["areas"][0]["lines"][0]
        title = f"{machine.profile.vendor} {machine.profile.model}"[:60]
        kind = _slug(machine.profile.model)[:32].strip("-")
        line["workcells"].append(
            {"id": workcell, "uuid": str(new_uuid()), "title": title, "kind": kind or "machine"}
        )
        edge["workcells"].append(workcell)
    entry: dict[str, Any] = {
        "id": device,
        "asset": str(new_uuid()),
        "title": f"{machine.profile.vendor} {machine.profile.model}"[:60],
        "profile": profile,
        "url": machine.url,
        "workcells": [workcell],
    }
    if machine.options:
        entry["options"] = dict(machine.options)
    edge["devices"].append(entry)
    return device, workcell


def _site(folder: Path, edge_id: str, new_uuid: Callable[[], uuid.UUID]) -> dict[str, Any]:
    """A site with a hall and a line, and nothing in it yet."""
    name = _slug(folder.resolve().name) or "workshop"
    line = {"id": "line", "uuid": str(new_uuid()), "title": "Line", "workcells": []}
    area = {"id": "hall", "uuid": str(new_uuid()), "title": "Hall", "lines": [line]}
    return {
        "id": name[:32].strip("-"),
        "uuid": str(new_uuid()),
        "title": folder.resolve().name[:60] or "Workshop",
        "areas": [area],
        "edges": [{"id": edge_id, "workcells": [], "devices": []}],
    }


def _free(stem: str, taken: Mapping[str, Any]) -> str:
    stem = stem[:28].strip("-") or "machine"
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _files(folder: Path) -> Iterator[Path]:
    """What the edge may read of a site: YAML files, not the data beside them."""
    if folder.is_dir():
        yield from folder.glob("*.yaml")
        for sub in ("profiles", "products"):
            yield from (folder / sub).rglob("*.yaml")


def _yaml() -> YAML:
    yaml = YAML()  # round trip: comments and order stay
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _loaded(path: Path) -> Any:
    if not path.exists():
        return None
    read(path)  # says file, line and column where it is no YAML
    with path.open(encoding="utf-8") as file:
        return _yaml().load(file)


def _text(content: Any) -> str:
    out = io.StringIO()
    _yaml().dump(content, out)
    return out.getvalue()


def _moved(problem: Problem, trial: str, real: str) -> Problem:
    """A mistake of the trial's files, at the place where the file will be."""
    file, message = (text.replace(trial, real) for text in (problem.file, problem.message))
    return replace(problem, file=file, message=message)

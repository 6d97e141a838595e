"""The files of a small site, begun or extended by one machine: drafted, checked as a whole the way the edge
reads them, and only then put where they belong.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from drivers.modbus.address import parse_url
from drivers.modbus.profile import ModbusProfile
from drivers.profile.files import find_profiles
from drivers.profile.profile import AnyProfile
from edge.config import Setup, load_setup
from protocols.documents import DocumentError, Problem, load, not_one_of
from protocols.site import Site

SITE, EDGE, CLOUD, PROFILES = "site.yaml", "edge.yaml", "cloud.yaml", "profiles"
EDGE_ID = "hall"
"""The edge of a site that is begun here; another name is as good."""

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_BROKER = {"host": "127.0.0.1", "port": 1883}
_HEADS = {
    SITE: "Places and machines. A uuid is made once and stays for ever; titles may change.",
    EDGE: "The agent that reads the machines: where its API listens and what it keeps.",
    CLOUD: "The service with the page: where it listens and what it keeps.",
}


class CannotAdd(Exception):
    """The machine does not fit into the files that are there; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is to be added. Empty ``name`` and ``workcell`` are made up; ``options`` are the driver's.

    ``known_as`` is the name of its profile in a library; a file of its own is named after vendor and model.
    """

    url: str
    file: Path
    profile: AnyProfile
    name: str = ""
    workcell: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    known_as: str = ""


@dataclass(slots=True)
class Draft:
    """Files as they would be. ``changed`` holds those that differ, by name relative to the site's folder."""

    folder: Path
    device: str
    workcell: str
    profile: str
    changed: dict[str, str]
    kept: list[str]
    setup: Setup | None = None
    """What the edge reads from the folder as it is; None where there is none yet."""

    def check(self) -> None:
        """Read everything as the edge would; raises DocumentError naming the files by their real places."""
        with tempfile.TemporaryDirectory(prefix="onelot-") as name:
            trial = Path(name).resolve()
            for known, file in find_profiles(self.folder / PROFILES).items():
                _put(trial / PROFILES / f"{known}.yaml", file.read_text("utf-8"))
            for file_name, text in self.changed.items():
                _put(trial / file_name, text)
            if self.setup is not None:
                places = {"site": str(trial / SITE), "profiles": str(trial / PROFILES)}
                _put(trial / EDGE, _text({**self.setup.config.model_dump(mode="json"), **places}))
                if SITE not in self.changed:
                    shutil.copyfile(self.folder / SITE, trial / SITE)
                if (graph := self.setup.site.graph) and not Path(graph).is_absolute():
                    _put(trial / graph, (self.folder / graph).read_text("utf-8"))
            try:
                load_setup(trial / EDGE)
            except DocumentError as error:
                real = str(self.folder.resolve())
                raise DocumentError([_moved(each, str(trial), real) for each in error.problems]) from None

    def write(self) -> list[Path]:
        """Put all files in place, or none; the list of them.

        Raises:
            OSError: one cannot be written; everything is as it was.
        """
        staged: list[tuple[Path, Path]] = []
        before: dict[Path, bytes | None] = {}
        try:
            for name, text in self.changed.items():
                target = self.folder / name
                beside = target.with_name(f".{target.name}.new")
                staged.append((beside, target))
                _put(beside, text)
            for beside, target in staged:
                old = target.read_bytes() if target.exists() else None
                os.replace(beside, target)
                before[target] = old
        except OSError:
            for target, old in before.items():
                if old is None:
                    target.unlink()
                else:
                    target.write_bytes(old)
            raise
        finally:
            for beside, _ in staged:
                with contextlib.suppress(OSError):
                    beside.unlink(missing_ok=True)
        return [target for _, target in staged]


def draft(machine: Machine, folder: Path, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> Draft:
    """The files with one machine more; the same where it is there already.

    Raises:
        CannotAdd: its name, address or workcell is taken, or ``edge.yaml`` is not one of this kind of folder.
        DocumentError: the files that are there are wrong already.
    """
    made = Draft(folder, "", "", _profile_name(machine, folder), {}, [])
    _take_profile(made, machine.file)
    if (folder / EDGE).exists():
        made.setup = setup = load_setup(folder / EDGE)
        root = folder.resolve()
        if (setup.config.site, setup.config.profiles) != (root / SITE, root / PROFILES):
            raise CannotAdd(
                f"{folder / EDGE} keeps its site or profiles elsewhere: "
                f"add the machine to {setup.config.site} by hand"
            )
        edge_id = setup.edge.id
        if ".." in Path(setup.site.graph).parts:
            raise CannotAdd(f"{SITE} keeps its graph elsewhere: add the machine by hand")
    else:
        edge_id = _only_edge(folder / SITE)
        made.changed[EDGE] = _new_file(
            EDGE,
            {"edge": edge_id, "site": SITE, "profiles": PROFILES, "data": "edge-data"}
            | {"broker": _BROKER, "api": {"port": 8801}},
        )
    if not (folder / CLOUD).exists():
        made.changed[CLOUD] = _new_file(
            CLOUD, {"site": SITE, "data": "cloud-data", "broker": _BROKER, "http": {"port": 8080}}
        )
    site = _loaded(folder / SITE)
    head = ""
    if site is None:
        site, head = _site(folder, new_uuid), f"# {_HEADS[SITE]}\n"
    if (there := _same(site, machine, made.profile)) is not None:
        made.device = str(there["id"])
        made.workcell = ", ".join(map(str, there.get("workcells") or ()))
        return made
    _place(made, site, edge_id, machine, new_uuid)
    made.changed[SITE] = head + _text(site)
    return made


# --- the profile ----------------------------------------------------------------------------------------


def _profile_name(machine: Machine, folder: Path) -> str:
    """As it is named in the site's own folder, in the library, or by its vendor and model."""
    for name, path in find_profiles(folder / PROFILES).items():
        if path.resolve() == machine.file.resolve():
            return name
    return machine.known_as or f"{_slug(machine.profile.vendor)}/{_slug(machine.profile.model)}"


def _take_profile(made: Draft, file: Path) -> None:
    """A copy of the profile; one that is there already stays as it was edited."""
    target = made.folder / PROFILES / f"{made.profile}.yaml"
    text = file.read_text("utf-8")
    if not target.exists():
        made.changed[f"{PROFILES}/{made.profile}.yaml"] = text
    elif target.read_text("utf-8") != text:
        made.kept.append(f"{target} (it was there, and differs from {file})")


# --- the site -------------------------------------------------------------------------------------------


def _only_edge(site: Path) -> str:
    """The edge that a machine goes to where no ``edge.yaml`` says it."""
    if not site.exists():
        return EDGE_ID
    edges = [edge.id for edge in load(site, Site).edges]
    if len(edges) > 1:
        raise CannotAdd(f"{site} has the edges {', '.join(edges)}: {EDGE} must say which one is here")
    return edges[0] if edges else EDGE_ID


def _same(site: Any, machine: Machine, profile: str) -> Any:
    """The device that this machine is already; raises CannotAdd when it is one under another name."""
    for edge in site["edges"]:
        for device in edge["devices"]:
            if _address(str(device["url"]), machine.profile) != _address(machine.url, machine.profile):
                continue
            if device["profile"] == profile and machine.name in ("", device["id"]):
                return device
            raise CannotAdd(
                f'{machine.url} is device "{device["id"]}" with profile {device["profile"]} already: '
                f"change it in {SITE}"
            )
    return None


def _address(url: str, profile: AnyProfile) -> object:
    """Equal for addresses of one machine, however they are written."""
    with contextlib.suppress(ValueError):
        bus, unit = parse_url(url)
        if unit is None and isinstance(profile, ModbusProfile):
            unit = profile.modbus.unit
        return bus, unit
    return url.rstrip("/")


def _place(made: Draft, site: Any, edge_id: str, machine: Machine, new_uuid: Callable[[], uuid.UUID]) -> None:
    """Put device and workcell into the site."""
    edge = next((edge for edge in site["edges"] if edge["id"] == edge_id), None)
    if edge is None:
        if site["edges"]:
            raise CannotAdd(f"{EDGE}: edge {not_one_of(edge_id, [str(e['id']) for e in site['edges']])}")
        edge = {"id": edge_id, "workcells": [], "devices": []}
        _append(site["edges"], edge)
    for option, name in (("--name", machine.name), ("--workcell", machine.workcell)):
        if name and not _NAME.fullmatch(name):
            better = _slug(name)[:32]
            raise CannotAdd(f'{option} "{name}": a name has a-z, 0-9 and -, at most 32 — write {better}')
    devices = {str(device["id"]) for each in site["edges"] for device in each["devices"]}
    if machine.name in devices:
        raise CannotAdd(f'there is a device "{machine.name}" already: choose another --name')
    model = _slug(machine.known_as.rpartition("/")[2] or machine.profile.model)
    made.device = machine.name or _free(model, devices)
    made.workcell = machine.workcell or made.device
    title = f"{machine.profile.vendor} {machine.profile.model}"[:60]
    lines = [line for area in site["areas"] for line in area["lines"]]
    if not any(str(cell["id"]) == made.workcell for line in lines for cell in line["workcells"]):
        if not lines:
            raise CannotAdd(f"{made.folder / SITE} has no line where {made.workcell} could stand: add one")
        kind = model[:32].strip("-")
        place = {"id": made.workcell, "uuid": str(new_uuid()), "title": title, "kind": kind}
        _append(lines[0]["workcells"], place)
    if not any(made.workcell in each["workcells"] for each in site["edges"]):
        edge["workcells"].append(made.workcell)
    entry: dict[str, Any] = {
        "id": made.device,
        "asset": str(new_uuid()),
        "title": title,
        "profile": made.profile,
        "url": machine.url,
        "workcells": [made.workcell],
    }
    if machine.options:
        entry["options"] = dict(machine.options)
    _append(edge["devices"], entry)


def _append(items: Any, item: Mapping[str, Any]) -> None:
    """One more, on lines of its own even where ``[]`` stood until now."""
    if not items and hasattr(items, "fa"):
        items.fa.set_block_style()
    items.append(item)


def _site(folder: Path, new_uuid: Callable[[], uuid.UUID]) -> Any:
    """A site with a hall and a line, and nothing in it yet."""
    line = {"id": "line", "uuid": str(new_uuid()), "title": "Line", "workcells": []}
    area = {"id": "hall", "uuid": str(new_uuid()), "title": "Hall", "lines": [line]}
    site = CommentedMap(
        {
            "id": _slug(folder.resolve().name)[:32].strip("-"),
            "uuid": str(new_uuid()),
            "title": folder.resolve().name[:60] or "Workshop",
            "calendar": CommentedMap({"timezone": "UTC"}),
            "areas": [area],
            "edges": [],
        }
    )
    site["calendar"].yaml_add_eol_comment("yours, e.g. Europe/Berlin or Asia/Shanghai", "timezone")
    return site


def _free(stem: str, taken: set[str]) -> str:
    stem, number = stem[:28].strip("-"), 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def _slug(text: str) -> str:
    """A name of letters, digits and dashes; *machine* where nothing of it can be kept."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-") or "machine"


# --- files ----------------------------------------------------------------------------------------------


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _yaml() -> YAML:
    yaml = YAML()  # round trip: comments and order stay
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _loaded(path: Path) -> Any:
    return _yaml().load(path.read_text("utf-8")) if path.exists() else None


def _new_file(name: str, content: Mapping[str, Any]) -> str:
    return f"# {_HEADS[name]}\n{_text(content)}"


def _text(content: Any) -> str:
    out = io.StringIO()
    _yaml().dump(content, out)
    return out.getvalue()


def _moved(problem: Problem, trial: str, real: str) -> Problem:
    """A mistake of the trial's files, at the place where the file will be."""
    file, message = (text.replace(trial, real) for text in (problem.file, problem.message))
    return replace(problem, file=file, message=message)

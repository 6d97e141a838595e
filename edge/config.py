"""``edge.yaml``: who this edge is, where its site, machines and broker are, and what it may use.

Identity, addresses and secrets are local to a PC; what a machine or a place *is* stands in the profiles
and the site. Relative paths are relative to the file they stand in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from drivers.profile.files import find_profiles, load_profile
from drivers.profile.profile import AnyProfile
from drivers.profile.tags import Role
from edge.life import model_files
from edge.life.model_files import LifeConfig, LifeFiles
from edge.outbox.bounds import OutboxBounds
from edge.outbox.store import StoreLimits
from edge.programs.releases import Releases, load_releases
from edge.transport.registers import takes_missions
from edge.transport.stations import unfit_for_tags, unfit_handshakes
from protocols.broker import Broker, Tls
from protocols.documents import Document, DocumentError, Problem, not_one_of, read
from protocols.lanes import EDGE_ID
from protocols.site import Device, Edge, Site
from protocols.site_graph import SiteGraph

Port = Annotated[int, Field(ge=0, le=65_535)]
MIB = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Api(_Part):
    """Where terminals reach this edge. Loopback, unless terminals run on other PCs."""

    host: str = "127.0.0.1"
    port: Port = 8801


class Outbox(_Part):
    """Disk for what the cloud does not have yet. An eighth of it (at most 16 MiB) is kept for actions."""

    max_bytes: int = Field(default=1024 * MIB, ge=1 * MIB, description="of the edge's file")
    max_age_hours: float = Field(default=168.0, gt=0, description="samples older than this are dropped")

    @property
    def limits(self) -> StoreLimits:
        """Bounds of the file."""
        reserve = min(16 * MIB, self.max_bytes // 8)
        return StoreLimits(self.max_bytes, reserve, ballast=min(4 * MIB, reserve))

    @property
    def bounds(self) -> OutboxBounds:
        """Bounds of what waits: the rest of the file is for tables, free pages and people's actions."""
        return OutboxBounds(int(self.max_bytes * 0.7), self.max_age_hours * 3600)


class Changes(_Part):
    """How this configuration, its site and its profiles are taken up when they change while the edge runs."""

    watch: bool = Field(default=True, description="false: only when asked to (POST /v1/reload, SIGHUP)")
    probation: float = Field(
        default=20.0,
        ge=1,
        le=600,
        description="seconds in which a changed device must give a good value, or be rolled back",
    )


TopicId = Annotated[str, StringConstraints(pattern=r"^[^+/#]{1,64}$")]


class SparkplugConfig(_Part):
    """Publish what this edge reads as a Sparkplug B node. Left out: it does not."""

    group: TopicId = Field(description="Sparkplug group id")
    node: TopicId | None = Field(default=None, description="node id; the edge's own id unless given")
    primary_host: TopicId | None = Field(
        default=None, description="id of the host it serves: samples wait on disk until that host is online"
    )
    broker: Broker | None = Field(default=None, description="empty: the edge's broker")
    max_bytes: int = Field(default=256 * MIB, ge=1 * MIB, description="of samples that wait on disk")


class EdgeConfig(_Part):
    """The root of ``edge.yaml``."""

    edge: Annotated[str, StringConstraints(pattern=f"^{EDGE_ID.pattern}$")]
    site: Path
    profiles: Path
    data: Path
    broker: Broker = Broker()
    api: Api = Api()
    outbox: Outbox = Outbox()
    changes: Changes = Changes()
    sparkplug: SparkplugConfig | None = None
    life: LifeConfig | None = Field(
        default=None, description="whose models of remaining life are used; left out: none"
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """A device of this edge with the profile it is read through."""

    device: Device
    profile: AnyProfile


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that files say about this edge, checked together."""

    config: EdgeConfig
    site: Site
    edge: Edge
    machines: tuple[Machine, ...]
    sources: Mapping[str, Path]
    """Files it was read from, by what they are: ``edge``, ``site``, ``profile:acme/press``."""
    graph: SiteGraph | None = None
    """Where AGVs drive, when the site names one."""
    releases: Releases | None = None
    """NC programs that are released, when the site names a list."""
    life: LifeFiles = field(default_factory=LifeFiles)
    """Whose models of remaining life are trusted, and those that are named."""


def shown_address(url: str) -> str:
    """An address as it may be shown and printed: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def load_setup(path: Path) -> Setup:
    """Read ``edge.yaml``, its site and the profiles of its devices.

    Raises:
        DocumentError: with every mistake, each with file, line, column, value and what is allowed.
    """
    document = read(path)
    folder = path.resolve().parent
    problems: list[Problem] = []
    config = site_document = site = None
    with _noting(problems):
        config = _absolute(document.validate(EdgeConfig), folder)
    with _noting(problems):
        site_document = _site(document, folder)
        site = site_document.validate(Site) if site_document is not None else None
    machines: tuple[Machine, ...] = ()
    sources: dict[str, Path] = {}
    if config is not None:
        with _noting(problems):
            _check_files(document, config)
    if config is not None and site is not None and site_document is not None:
        with _noting(problems):
            known = [edge.id for edge in site.edges]
            if config.edge not in known:
                message = f"{not_one_of(config.edge, known)} (edges of {config.site})"
                raise DocumentError([document.problem(("edge",), message)])
            if config.profiles.is_dir():
                machines, sources = _machines(config, site_document, site, site.edge(config.edge))
    graph = None
    if config is not None and site is not None and site_document is not None and site.graph:
        with _noting(problems):
            graph = _graph(site_document, config.site.parent / site.graph, site, machines)
    releases = None
    if config is not None and site is not None and site_document is not None and site.programs:
        with _noting(problems):
            sources["programs"] = config.site.parent / site.programs
            releases = _releases(site_document, sources["programs"], site)
    life = LifeFiles()
    if config is not None and config.life is not None and not problems:
        profiles = {machine.device.id: machine.profile for machine in machines}
        life, wrong = model_files.load(document, config.life, profiles)
        problems += wrong
    if problems or config is None or site is None:
        raise DocumentError(list(dict.fromkeys(problems)))
    sources |= {"edge": path, "site": config.site}
    return Setup(config, site, site.edge(config.edge), machines, sources, graph, releases, life)


def _releases(site_document: Document, path: Path, site: Site) -> Releases:
    """The release list that a site names."""
    if not path.is_file():
        raise DocumentError([site_document.problem(("programs",), f'there is no file "{path}"')])
    return load_releases(path, site)


def _graph(site_document: Document, path: Path, site: Site, machines: Sequence[Machine]) -> SiteGraph:
    """The site graph, with a parking node for every vehicle of this edge."""
    if not path.is_file():
        raise DocumentError([site_document.problem(("graph",), f'there is no file "{path}"')])
    document = read(path)
    graph = document.validate(SiteGraph)
    cells = site.workcells()
    problems = [
        document.problem(("stations", cell), f"workcell {not_one_of(cell, cells)}", at_key=True)
        for cell in graph.stations
        if cell not in cells
    ]
    profiles = {machine.device.id: machine.profile for machine in machines}
    for where, message in unfit_handshakes(graph, site.devices(), profiles):
        problems.append(document.problem(where, message))
    others = [machine.device.id for machine in machines if machine.profile.protocol == "vda5050"]
    if any(takes_missions(profile) for profile in profiles.values()):
        problems += [document.problem(where, message) for where, message in unfit_for_tags(graph, others)]
    try:
        graph.homes(others)
    except ValueError as error:
        problems.append(document.problem(("nodes",), str(error), at_key=True))
    if problems:
        raise DocumentError(problems)
    return graph


@contextlib.contextmanager
def _noting(problems: list[Problem]) -> Iterator[None]:
    """What is wrong in one file is no reason to keep silent about the next."""
    try:
        yield
    except DocumentError as error:
        problems += error.problems


def _site(document: Document, folder: Path) -> Document | None:
    """The site that ``edge.yaml`` names, whatever else is wrong there; None when it names none."""
    data = document.data if isinstance(document.data, dict) else {}
    named = data.get("site")
    if not isinstance(named, str):
        return None
    path = (folder / Path(named).expanduser()).resolve()
    if not path.is_file():
        raise DocumentError([document.problem(("site",), f"there is no file {path}")])
    return read(path)


def _absolute(config: EdgeConfig, folder: Path) -> EdgeConfig:
    def at(path: Path | None) -> Path | None:
        return None if path is None else (folder / path.expanduser()).resolve()

    def local(broker: Broker) -> Broker:
        tls = broker.tls
        if tls is not None:
            tls = Tls(ca=at(tls.ca), cert=at(tls.cert), key=at(tls.key))
        return broker.model_copy(update={"tls": tls, "password_file": at(broker.password_file)})

    sparkplug = config.sparkplug
    if sparkplug is not None and sparkplug.broker is not None:
        sparkplug = sparkplug.model_copy(update={"broker": local(sparkplug.broker)})
    return config.model_copy(
        update={
            "site": at(config.site),
            "profiles": at(config.profiles),
            "data": at(config.data),
            "broker": local(config.broker),
            "sparkplug": sparkplug,
            "life": config.life.at(folder) if config.life is not None else None,
        }
    )


def _machines(
    config: EdgeConfig, document: Document, site: Site, edge: Edge
) -> tuple[tuple[Machine, ...], dict[str, Path]]:
    """Load each profile once; every problem of every device is reported at once."""
    files = find_profiles(config.profiles)
    place = site.edges.index(edge)
    loaded: dict[str, AnyProfile] = {}
    problems: dict[Problem, None] = {}
    machines: list[Machine] = []
    for number, device in enumerate(edge.devices):
        where = ("edges", place, "devices", number)
        try:
            if device.profile not in files:
                message = f"{not_one_of(device.profile, files)} (profiles below {config.profiles})"
                raise DocumentError([document.problem((*where, "profile"), message)])
            if device.profile not in loaded:
                loaded[device.profile] = load_profile(files[device.profile])
            _try_driver(document, where, device, loaded[device.profile])
            machines.append(Machine(device, loaded[device.profile]))
        except DocumentError as error:
            problems.update(dict.fromkeys(error.problems))
    problems.update(dict.fromkeys(_counted_twice(document, place, edge, machines)))
    if problems:
        raise DocumentError(list(problems))
    return tuple(machines), {f"profile:{name}": files[name] for name in loaded}


def _counted_twice(
    document: Document, place: int, edge: Edge, machines: Sequence[Machine]
) -> Iterator[Problem]:
    """Two part counters of one workcell: each would overwrite what the other has counted."""
    counters: dict[str, str] = {}
    for machine in machines:
        device, tags = machine.device, machine.profile.tags.values()
        if not device.counts or all(tag.role is not Role.PART_COUNT for tag in tags):
            continue
        for number, workcell in enumerate(device.workcells):
            first = counters.setdefault(workcell, device.id)
            if first != device.id:
                where = ("edges", place, "devices", edge.devices.index(device), "workcells", number)
                yield document.problem(
                    where,
                    f'"{workcell}" has its parts counted by {first} already, and {device.id} has a tag with '
                    "the role part_count, too — write counts: false at the one whose count is not that of "
                    f"{workcell}",
                )


def _try_driver(document: Document, where: tuple[Any, ...], device: Device, profile: AnyProfile) -> None:
    """Construct the driver once: that checks address and options and touches no network."""
    from drivers.registry import driver_type

    kind = driver_type(profile.protocol)
    if device.options:
        document.part((*where, "options")).validate(kind.config)
    try:
        kind.create(device.url, profile, device.options)
    except DocumentError as error:
        raise DocumentError(
            [document.problem((*where, "options"), problem.text, at_key=True) for problem in error.problems]
        ) from error
    except (ValueError, TypeError) as error:
        raise DocumentError([document.problem((*where, "url"), str(error))]) from error


def _check_files(document: Document, config: EdgeConfig) -> None:
    """Profiles, secrets and certificates must be there before anything starts."""
    brokers: dict[tuple[str, ...], Broker] = {("broker",): config.broker}
    if config.sparkplug is not None and config.sparkplug.broker is not None:
        brokers["sparkplug", "broker"] = config.sparkplug.broker
    named: dict[tuple[str, ...], Path | None] = {}
    for at, broker in brokers.items():
        named[*at, "password_file"] = broker.password_file
        if broker.tls is not None:
            named |= {(*at, "tls", name): getattr(broker.tls, name) for name in ("ca", "cert", "key")}
    problems = [
        document.problem(where, f"there is no file {path}")
        for where, path in named.items()
        if path is not None and not path.is_file()
    ]
    if not config.profiles.is_dir():
        problems.append(document.problem(("profiles",), f"there is no folder {config.profiles}"))
    if problems:
        raise DocumentError(problems)

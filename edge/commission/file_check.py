"""What is wrong in files: profiles, ``edge.yaml``, ``site.yaml``, site graphs, lists of released programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.profile.files import check_profile
from drivers.profile.part import mapping
from drivers.profile.profile import Profile, Tag
from drivers.registry import driver_names, driver_type
from edge.config import load_setup
from edge.programs.releases import load_releases
from protocols.documents import Document, DocumentError, Problem, read
from protocols.site import Site
from protocols.site_graph import SiteGraph


@dataclass(slots=True)
class Checked:
    """What checking some files found."""

    files: int = 0
    problems: dict[Problem, None] = field(default_factory=dict)
    """In the order found, each once: ``edge.yaml`` brings those of its site and profiles along."""
    tags: dict[Path, int] = field(default_factory=dict)
    """Tags of each profile, arrays and templates expanded."""
    notes: list[str] = field(default_factory=list)
    """Files that somebody else checks."""

    def profile(self, path: Path, document: Document) -> None:
        self.tags[path.resolve()] = expanded_tags(document.data)
        check_profile(document)

    def edge(self, path: Path, document: Document) -> None:
        setup = load_setup(path)
        for name, source in setup.sources.items():
            if name.startswith("profile:"):
                self.tags.setdefault(source.resolve(), expanded_tags(read(source).data))

    def site(self, path: Path, document: Document) -> None:
        document.validate(Site)

    def graph(self, path: Path, document: Document) -> None:
        document.validate(SiteGraph)

    def releases(self, path: Path, document: Document) -> None:
        load_releases(path)

    def cloud(self, path: Path, document: Document) -> None:
        self.notes.append(f"{path}: the cloud's own, checked by: onelot cloud --config {path} --check")

    def product(self, path: Path, document: Document) -> None:
        self.notes.append(f"{path}: a product family, checked by the cloud when it starts")


_Check = Callable[[Checked, Path, Document], None]
_KINDS: tuple[tuple[frozenset[str], _Check], ...] = (
    (frozenset({"tags"}), Checked.profile),
    (frozenset({"protocol"}), Checked.profile),
    (frozenset({"edge", "site"}), Checked.edge),
    (frozenset({"areas"}), Checked.site),
    (frozenset({"nodes", "edges"}), Checked.graph),
    (frozenset({"releases"}), Checked.releases),
    (frozenset({"site", "http"}), Checked.cloud),
    (frozenset({"site", "data"}), Checked.cloud),
    (frozenset({"parameters", "title"}), Checked.product),
)
"""Keys that only one kind of file has; the first row that fits counts, and what fits none is a profile."""


def is_edge(path: Path) -> bool:
    """Whether a file is the configuration of an edge; False for one that cannot be read."""
    try:
        return _kind(read(path).data) is Checked.edge
    except DocumentError:
        return False


def check_files(paths: Iterable[Path]) -> Checked:
    """Every mistake in files. Blocking."""
    checked = Checked()
    for path in paths:
        checked.files += 1
        try:
            document = read(path)
            _kind(document.data)(checked, path, document)
        except DocumentError as error:
            checked.problems |= dict.fromkeys(error.problems)
    return checked


def expanded_tags(data: Any) -> int:
    """How many tags a profile's plain data stands for, be it wrong elsewhere."""
    protocol = mapping(data).get("protocol")
    kind: type[Profile[Tag]] = Profile[Tag]
    if protocol in driver_names():
        try:
            kind = driver_type(protocol).profile
        except (ImportError, AttributeError, TypeError):
            kind = Profile[Tag]  # said by whoever checks the profile
    return len(mapping(mapping(kind.expand(data).data).get("tags")))


def _kind(data: Any) -> _Check:
    keys: Mapping[Any, Any] = mapping(data)
    return next((check for marks, check in _KINDS if marks <= keys.keys()), Checked.profile)

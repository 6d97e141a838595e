"""The release list: which NC program an engineer has released for which machines, by the hash of its bytes.

A file that people write beside the site (``programs/releases.yaml``), with the programs in the same folder.
Reading one checks every program's hash, so that a list and its files belong together before anything runs.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from drivers.program_folder import MAX_FILE
from drivers.programs import Released, unfit_name
from edge.station.commands import Pseudonym
from protocols.documents import Document, DocumentError, Finding, Findings, Problem, not_one_of, read
from protocols.site import Device, Site

MAX_RELEASES = 2000
"""The most releases of a list."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Release(_Part):
    """One program as it was released. It holds for the machines that any of its three lists names."""

    program: str = Field(min_length=1, max_length=80, description="as the routing's operation calls it")
    file: Text = Field(description="below the folder of the list")
    sha256: Sha256 = Field(description="of the file's bytes (sha256sum FILE)")
    name: str = Field(default="", description="file name at the machine; unset: the same as program")
    devices: tuple[Text, ...] = Field(default=(), description="devices of the site")
    profiles: tuple[Text, ...] = Field(
        default=(), description="every device that is read through one of these"
    )
    kinds: tuple[Text, ...] = Field(
        default=(), description="every device at a workcell of one of these kinds"
    )
    released_by: Pseudonym = Field(description="pseudonym of the engineer")
    date: datetime.date
    earlier: tuple[Sha256, ...] = Field(
        default=(), max_length=100, description="former releases, which this one may overwrite at a machine"
    )

    @field_validator("sha256", "earlier")
    @classmethod
    def _is_lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else tuple(each.lower() for each in value)

    @model_validator(mode="after")
    def _consistent(self) -> Release:
        found = []
        if not (self.devices or self.profiles or self.kinds):
            found.append(Finding((), "is for no machine — name devices, profiles or kinds"))
        for key, value in (("name" if self.name else "program", self.at_machine), ("file", self.file)):
            if (why := unfit_name(value)) is not None:
                found.append(Finding((key,), f'"{value}": {why}'))
        if found:
            raise Findings(found)
        return self

    @property
    def at_machine(self) -> str:
        """Its file name at the machine."""
        return self.name or self.program

    @property
    def released(self) -> Released:
        """What a driver delivers and inspects."""
        return Released(self.at_machine, self.sha256)


class ReleaseList(_Part):
    """The root of ``releases.yaml``."""

    releases: tuple[Release, ...] = Field(default=(), max_length=MAX_RELEASES)


@dataclass(frozen=True, slots=True)
class Releases:
    """A release list that has been checked, with the folder of its programs."""

    folder: Path
    entries: tuple[Release, ...] = ()

    def for_device(self, device: Device, kinds: Mapping[str, str]) -> dict[str, Release]:
        """What is released for a device, by program; ``kinds`` of the site's workcells by id."""
        return {each.program: each for each in self.entries if _is_for(each, device, kinds)}

    def content(self, release: Release) -> bytes:
        """The bytes of a program as they are now: compare their hash. Blocking.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is larger than any machine is sent.
        """
        with (self.folder / release.file).open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ValueError(f"{release.file} is larger than {MAX_FILE >> 20} MiB, the most that is sent")
        return content


def kinds_of(site: Site) -> dict[str, str]:
    """Kinds of a site's workcells by id."""
    return {cell.id: cell.kind for cell in site.workcells().values()}


def _is_for(release: Release, device: Device, kinds: Mapping[str, str]) -> bool:
    at = {kinds.get(cell) for cell in device.workcells}
    return device.id in release.devices or device.profile in release.profiles or bool(at & {*release.kinds})


def load_releases(path: Path, site: Site | None = None) -> Releases:
    """Read a release list, its programs and, with a site, whether the machines that it names are there.

    Blocking: it reads every program once.

    Raises:
        DocumentError: with every mistake, each with file, line, column, value and what is allowed.
    """
    document = read(path)
    listed = document.validate(ReleaseList)
    found = Releases(path.resolve().parent, listed.releases)
    problems = [*_files(document, found)]
    if site is not None:
        problems += [*_unknown(document, found, site), *_twice(document, found, site)]
    if problems:
        raise DocumentError(sorted(problems, key=lambda each: (each.line, each.col)))
    return found


def _files(document: Document, found: Releases) -> Iterator[Problem]:
    """A released file must be there, and be what was released."""
    for number, release in enumerate(found.entries):
        path = found.folder / release.file
        if not path.resolve().is_relative_to(found.folder):
            yield document.problem(
                ("releases", number, "file"), f'"{release.file}" leads out of {found.folder}'
            )
            continue
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                held = hashlib.file_digest(file, "sha256").hexdigest() if size <= MAX_FILE else ""
        except OSError as error:
            message = f'"{release.file}" cannot be read below {found.folder}: {error.strerror or error}'
            yield document.problem(("releases", number, "file"), message)
            continue
        if not held:
            message = f'"{release.file}" is larger than {MAX_FILE >> 20} MiB, the most that is sent'
            yield document.problem(("releases", number, "file"), message)
        elif held != release.sha256:
            message = (
                f"{release.file} has the hash {held} — either it was changed since its release, "
                "or the new hash has to be released"
            )
            yield document.problem(("releases", number, "sha256"), message)


def _unknown(document: Document, found: Releases, site: Site) -> Iterator[Problem]:
    """Machines that the site does not have."""
    devices = site.devices()
    allowed = {
        "devices": sorted(devices),
        "profiles": sorted({device.profile for device in devices.values()}),
        "kinds": sorted(set(kinds_of(site).values())),
    }
    for number, release in enumerate(found.entries):
        for key, known in allowed.items():
            for place, name in enumerate(getattr(release, key)):
                if name not in known:
                    yield document.problem(("releases", number, key, place), not_one_of(name, known))


def _twice(document: Document, found: Releases, site: Site) -> Iterator[Problem]:
    """Two releases of one program for one machine, or of two programs under one name there."""
    kinds = kinds_of(site)
    said: set[int] = set()
    for device in site.devices().values():
        first: dict[tuple[str, str], int] = {}
        for number, release in enumerate(found.entries):
            if number in said or not _is_for(release, device, kinds):
                continue
            for key in (("program", release.program), ("name", release.at_machine.casefold())):
                before = first.setdefault(key, number)
                if before != number and number not in said:
                    said.add(number)
                    message = (
                        f"{release.program} is released for {device.id} twice (first as entry {before + 1}): "
                        "keep one, and put the hash of the other under its earlier"
                    )
                    yield document.problem(("releases", number, "program"), message)

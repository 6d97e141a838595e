"""Released NC programs: they go to a machine by hash, not while they run, and an edit made there is found.

What may be decided without a machine is here and pure; ``Driver.put_file`` acts on it. :func:`deliver` and
:func:`inspect` are what a released program needs of a driver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath

from drivers.capabilities import Files
from drivers.errors import ReadFailed, WriteRefused
from drivers.gate import Confirmation, item_state, trouble
from drivers.profile.profile import AnyProfile, Role
from drivers.program_folder import MAX_FILE
from protocols.states import ItemState
from protocols.values import Quality, Reading, Value

MAX_NAME = 200
"""The longest name of a file, in characters."""


@dataclass(frozen=True, slots=True)
class Released:
    """A program as it was released: its name at the machine and the SHA-256 of its bytes, in hex."""

    name: str
    sha256: str


class Standing(StrEnum):
    """How a program at a machine stands to the released one."""

    RELEASED = "released"
    EDITED = "edited"
    PARTIAL = "partial"
    """Only its beginning is there: a transfer did not end."""
    MISSING = "missing"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Program:
    """What was found of a released program at a machine; ``found`` is the hash of what lies there, ``size``
    its bytes."""

    released: Released
    standing: Standing
    found: str = ""
    detail: str = ""
    size: int = 0

    def __str__(self) -> str:
        name = self.released.name
        if self.standing is Standing.EDITED:
            return (
                f'"{name}" was edited at the machine: it holds {self.found[:12]}, '
                f"released is {self.released.sha256[:12]} — release the edit, or have it overwritten"
            )
        if self.standing is Standing.PARTIAL:
            why = "a transfer did not end — send it again"
            return f'only the first {self.size} bytes of "{name}" are there: {why}'
        return f'"{name}" is {self.standing}' + (f": {self.detail}" if self.detail else "")


def sha256(content: bytes) -> str:
    """The hash by which a program is released, in hex."""
    return hashlib.sha256(content).hexdigest()


async def deliver(
    driver: Files,
    released: Released,
    content: bytes,
    confirmation: Confirmation | None = None,
    *,
    earlier: Collection[str] = (),
    overwrite: bool = False,
) -> Program:
    """Send a released program to a machine, where it is read back and compared.

    What is there already is not sent again, so that this may be repeated. What is there and was never
    released (``earlier`` holds the hashes of former releases) is somebody's edit, and what cannot be read may
    be one: only ``overwrite`` takes it away. What a transfer left that did not end is nobody's.

    Raises:
        WriteRefused: the content is not what was released, the machine runs it, it is locked, or an edit
            would be lost.
        WriteFailed: the machine refused it, or holds something else now.
        WriteUnknown: the machine did not answer.
    """
    found = sha256(content)
    if found != released.sha256.lower():
        raise WriteRefused(
            f'"{released.name}": its content has the hash {found[:12]}, released is {released.sha256[:12]}'
        )
    (before,) = await inspect(driver, [released])
    before = told_apart(before, content)
    edited = before.standing is Standing.EDITED and before.found not in earlier
    if (edited or before.standing is Standing.UNREADABLE) and not overwrite:
        raise WriteRefused(str(before))
    if before.standing is not Standing.RELEASED:
        await driver.put_file(released.name, content, confirmation)
    return Program(released, Standing.RELEASED, found, size=len(content))


def told_apart(program: Program, content: bytes) -> Program:
    """A program that is not as released, which is ``content``: edited, or only the beginning of it."""
    beginning = program.size < len(content) and sha256(content[: program.size]) == program.found
    if program.standing is Standing.EDITED and beginning:
        return replace(program, standing=Standing.PARTIAL)
    return program


async def inspect(driver: Files, released: Iterable[Released]) -> list[Program]:
    """Compare what lies at a machine with what was released, one by one.

    Raises:
        DeviceLost: the machine does not answer.
    """
    return [await _inspect(driver, program) for program in released]


async def _inspect(driver: Files, released: Released) -> Program:
    try:
        content = await driver.get_file(released.name)
    except FileNotFoundError:
        return Program(released, Standing.MISSING)
    except ReadFailed as error:
        return Program(released, Standing.UNREADABLE, detail=str(error))
    found = sha256(content)
    standing = Standing.RELEASED if found == released.sha256.lower() else Standing.EDITED
    return Program(released, standing, found, size=len(content))


# --- what may be put there ------------------------------------------------------------------------------


def unfit_name(name: str) -> str | None:
    """Why something is no name of a file below the program folder; None when it is one."""
    parts = name.split("/")
    if not name or len(name) > MAX_NAME:
        return f"a name has 1 to {MAX_NAME} characters"
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        return "a name has no empty part and none that begins with a dot — write P1.nc or doors/P1.nc"
    if wrong := sorted({c for c in name if c in '\\:*?"<>|' or not c.isprintable()}):
        return f"{wrong[0]!r} cannot be in a name — write P1.nc or doors/P1.nc"
    return None


def checked_name(name: str) -> str:
    """A name that is one.

    Raises:
        ReadFailed: it is not, and why.
    """
    if (reason := unfit_name(name)) is not None:
        raise ReadFailed(f'"{name}": {reason}')
    return name


def unfit_file(name: str, content: bytes) -> str | None:
    """Why a file cannot be sent to any machine; None when it can."""
    if (reason := unfit_name(name)) is not None:
        return reason
    if len(content) > MAX_FILE:
        return f"{len(content)} bytes are more than {MAX_FILE >> 20} MiB, the most that is sent"
    return None


def shows_what_runs(profile: AnyProfile) -> list[str]:
    """The tags that show whether a program runs: to be read just before one is replaced."""
    state, program = profile.tag_with(Role.STATE), profile.tag_with(Role.PROGRAM)
    derivation = profile.derive.get("state")
    inputs = [name for rule in derivation.rules for name in rule.when] if derivation else []
    names = [*([state] if state else inputs), *([program] if program else [])]
    return [name for name in dict.fromkeys(names) if profile.tags[name].readable]


def in_use(
    profile: AnyProfile, name: str, readings: Mapping[str, Reading], confirmation: Confirmation | None
) -> str | None:
    """Why a program may not be replaced now, by what the machine reads; None when it may."""
    if not profile.has_state:
        if confirmation is not None and confirmation.actor and confirmation.station:
            return None
        return "may be running, and the profile has no state to tell — confirm at the station that it is not"
    found = item_state(profile, readings)
    if not isinstance(found, ItemState):
        return f"may be running: {found}"
    if found is not ItemState.EXECUTING:
        return None
    tag = profile.tag_with(Role.PROGRAM)
    if tag is None:
        return "may be running: the machine is executing, and no tag with role program tells what"
    shown = readings.get(tag)
    if shown is None or shown.quality is not Quality.GOOD:
        return f"may be running: the machine is executing, and {tag} {trouble(shown)}"
    return (
        f"is running ({tag} = {shown.value}) — wait until it ends"
        if same_program(name, shown.value)
        else None
    )


def same_program(name: str, shown: Value) -> bool:
    """Whether a file is the program that a machine shows: with or without folders, drive and extension."""
    words = {part.casefold() for part in (PurePosixPath(name).name, PurePosixPath(name).stem)}
    other = PurePosixPath(str(shown).strip().replace("\\", "/"))
    return bool(words & {other.name.casefold(), other.stem.casefold()})

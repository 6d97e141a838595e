"""NC programs and recipes in a folder of this computer: a machine's own, mounted by SMB, FTP or NFS.

A folder that should be mounted and is not is the trap here: its empty place takes every file and gives it
back.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from drivers.capabilities import FileEntry
from drivers.errors import ReadFailed, WriteFailed, WriteUnknown
from drivers.patience import Step, patiently

MAX_FILE = 64 << 20
"""The largest file that is read or written: 64 MiB."""

MAX_FILES = 10_000
"""The most files that are listed."""

PIECE = 1 << 20
"""Bytes that are read or written at once."""

Permit = Callable[[], Awaitable[None]]
"""Asked at the last moment before a file changes; raises WriteRefused when it may not any more."""


class Store(Protocol):
    """A place for files that goes through no gate; only a driver may put something there."""

    async def list_files(self) -> list[FileEntry]: ...

    async def get_file(self, name: str) -> bytes: ...

    async def put_file(self, name: str, content: bytes, permit: Permit) -> None: ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and those below it; names have ``/`` between their parts. Links are not followed.

    ``mounted``: it must lie on a mount, and is not used while nothing is mounted there.
    """

    path: Path
    mounted: bool = True

    async def list_files(self) -> list[FileEntry]:
        """What is there, by name. Hidden files are none.

        Raises:
            ReadFailed: the folder is not there (not mounted?), does not answer, or holds too many files.
        """
        try:
            return await patiently(self.path, self._list)
        except TimeoutError as error:
            raise ReadFailed(f"{error} — is the machine switched on?") from error

    async def get_file(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            FileNotFoundError: there is none.
            ReadFailed: it cannot be read, is larger than :data:`MAX_FILE`, or the folder does not answer.
        """
        try:
            return await patiently(self.path, lambda step: self._get(name, step))
        except TimeoutError as error:
            raise ReadFailed(f"{error} — is the machine switched on?") from error

    async def put_file(self, name: str, content: bytes, permit: Permit) -> None:
        """Put a file in its place as a whole: who reads meanwhile sees the old or the new one.

        Raises:
            WriteFailed: it cannot be written (not mounted, no room, no permission).
            WriteUnknown: the folder did not answer; what is there is the old or the new one.
        """
        try:
            part = await patiently(self.path, lambda step: self._draft(name, content, step))
        except TimeoutError as error:
            raise WriteFailed(f'"{name}" was not sent: {error} — is the machine switched on?') from error
        try:
            await permit()
            await patiently(self.path, lambda step: self._place(part, self.path / name, step))
        except TimeoutError as error:
            raise WriteUnknown(f'"{name}": {error}; the old or the new one is there') from error
        except BaseException:
            with contextlib.suppress(TimeoutError):
                await patiently(self.path, lambda _: _without(part))
            raise

    # --- in a thread ------------------------------------------------------------------------------------

    def _list(self, step: Step) -> list[FileEntry]:
        if (why := self._not_usable()) is not None:
            raise ReadFailed(why)
        try:
            return sorted(self._walk(step), key=lambda entry: entry.name)
        except OSError as error:
            raise ReadFailed(self._trouble(error)) from error

    def _walk(self, step: Step) -> Iterator[FileEntry]:
        for number, file in enumerate(self._files(self.path)):
            step()
            self._bounded(number)
            about = file.stat()
            name = file.relative_to(self.path).as_posix()
            yield FileEntry(name, about.st_size, about.st_mtime_ns // 1000)

    def _files(self, folder: Path) -> Iterator[Path]:
        with os.scandir(folder) as scanned:
            entries = list(itertools.islice(scanned, MAX_FILES + 1))
        self._bounded(len(entries) - 1)
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)

    def _bounded(self, number: int) -> None:
        if number >= MAX_FILES:
            raise ReadFailed(f"{self.path} holds more than {MAX_FILES} files, the most that are listed")

    def _get(self, name: str, step: Step) -> bytes:
        if (why := self._not_usable()) is not None:
            raise ReadFailed(why)
        place = self._inside(name)
        content = bytearray()
        try:
            with place.open("rb") as file:
                _ask_the_machine(file)
                while piece := file.read(PIECE):
                    step()
                    content += piece
                    if len(content) > MAX_FILE:
                        most = f"{MAX_FILE >> 20} MiB, the most that is read"
                        raise ReadFailed(f'"{name}" is larger than {most}')
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ReadFailed(self._trouble(error)) from error
        return bytes(content)

    def _draft(self, name: str, content: bytes, step: Step) -> Path:
        """Write it beside its place, out of sight."""
        if (why := self._not_usable()) is not None:
            raise WriteFailed(why)
        place = self._inside(name)
        part = place.with_name(f".{place.name}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for start in range(0, len(content), PIECE):
                    file.write(content[start : start + PIECE])
                    step()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _without(part)
            raise WriteFailed(self._trouble(error)) from error
        except BaseException:
            _without(part)
            raise
        return part

    def _place(self, part: Path, place: Path, step: Step) -> None:
        step()  # what was given up must not happen later, when nobody knows what the machine runs by then
        try:
            part.replace(place)
        except OSError as error:
            raise WriteFailed(self._trouble(error)) from error

    def _not_usable(self) -> str | None:
        """Why the folder is not the machine's; None when it is, as far as anybody can tell."""
        if not self.path.is_dir():
            return f"{self.path} is not there — is it mounted?"
        if self.mounted and not _is_on_mount(self.path):
            return (
                f"nothing is mounted at {self.path}, it is a folder of this computer — mount the machine's, "
                "or say mounted: false (at a device program_mount: false) where the machine fetches from here"
            )
        return None

    def _inside(self, name: str) -> Path:
        place = self.path / name
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ReadFailed(f'"{name}" leads out of {self.path}')
        return place

    def _trouble(self, error: OSError) -> str:
        return f"{error.filename or self.path}: {error.strerror or error}"


def _is_on_mount(path: Path) -> bool:
    """Whether a folder is on another file system than that of this program (another drive or server, on
    Windows)."""
    own, resolved = Path(sys.executable).anchor, path.resolve()
    return any(os.path.ismount(each) for each in (resolved, *resolved.parents) if str(each) != own)


def _ask_the_machine(file: BinaryIO) -> None:
    """What this computer remembers of a file that it has just written says nothing about the machine."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _without(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink()

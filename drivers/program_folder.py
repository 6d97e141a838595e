"""NC programs and recipes in a folder of this computer: a machine's own, mounted by SMB, FTP or NFS."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.capabilities import FileEntry
from drivers.errors import ReadFailed, WriteFailed

MAX_FILE = 64 << 20
"""The largest file that is read or written: 64 MiB."""

MAX_FILES = 10_000
"""The most files that are listed."""


class Store(Protocol):
    """A place for files that goes through no gate; only a driver may put something there."""

    async def list_files(self) -> list[FileEntry]: ...

    async def get_file(self, name: str) -> bytes: ...

    async def put_file(self, name: str, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and those below it; names have ``/`` between their parts. Links are not followed."""

    path: Path

    async def list_files(self) -> list[FileEntry]:
        """What is there, by name. Hidden files are none.

        Raises:
            ReadFailed: the folder is not there (not mounted?), or holds too many files.
        """
        return await asyncio.to_thread(self._list)

    async def get_file(self, name: str) -> bytes:
        """What a file holds.

        Raises:
            FileNotFoundError: there is none.
            ReadFailed: it cannot be read, or is larger than :data:`MAX_FILE`.
        """
        return await asyncio.to_thread(self._get, name)

    async def put_file(self, name: str, content: bytes) -> None:
        """Put a file in its place as a whole: who reads meanwhile sees the old or the new one.

        Raises:
            WriteFailed: it cannot be written (not mounted, no room, no permission).
        """
        await asyncio.to_thread(self._put, name, content)

    def _list(self) -> list[FileEntry]:
        if not self.path.is_dir():
            raise ReadFailed(f"{self.path} is not there — is it mounted?")
        try:
            return sorted(self._walk(), key=lambda entry: entry.name)
        except OSError as error:
            raise ReadFailed(self._trouble(error)) from error

    def _walk(self) -> Iterator[FileEntry]:
        for number, file in enumerate(self._files(self.path)):
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

    def _get(self, name: str) -> bytes:
        place = self._inside(name)
        try:
            with place.open("rb") as file:
                content = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            if not self.path.is_dir():
                raise ReadFailed(f"{self.path} is not there — is it mounted?") from None
            raise
        except OSError as error:
            raise ReadFailed(self._trouble(error)) from error
        if len(content) > MAX_FILE:
            raise ReadFailed(f'"{name}" is larger than {MAX_FILE >> 20} MiB, the most that is read')
        return content

    def _put(self, name: str, content: bytes) -> None:
        if not self.path.is_dir():
            # Made here, it would be an ordinary folder where the machine's should be mounted.
            raise WriteFailed(f"{self.path} is not there — is it mounted?")
        place = self._inside(name)
        part = place.with_name(f".{place.name}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink()
            raise WriteFailed(self._trouble(error)) from error

    def _inside(self, name: str) -> Path:
        place = self.path / name
        if not place.resolve().is_relative_to(self.path.resolve()):
            raise ReadFailed(f'"{name}" leads out of {self.path}')
        return place

    def _trouble(self, error: OSError) -> str:
        return f"{error.filename or self.path}: {error.strerror or error}"

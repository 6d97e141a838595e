"""Whether files of an edge's configuration have changed: their times and sizes, looked at now and then.

Polled rather than notified of: that works on every system and file share, and an editor that writes a file
in three steps makes one change of it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import Setup, load_setup
from protocols.documents import DocumentError, read

STILL_CHANGING = 5
"""Looks after which files that never come to rest are taken as they are."""

Look = Mapping[Path, tuple[int, int]]
"""Time (ns) and size of each file that is there."""


def content_hash(content: bytes) -> str:
    """What names the content of a configuration file."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def hashes(setup: Setup) -> dict[str, str]:
    """Content hashes of the files a setup was read from, by what they are."""
    return {name: content_hash(path.read_bytes()) for name, path in setup.sources.items()}


def loaded(path: Path, sources: Mapping[str, Path]) -> tuple[Setup, dict[str, str]]:
    """What the files say, with their hashes. Blocking; loads the libraries that its drivers need.

    ``sources`` are the files it was read from before. What is written while it is read is read again,
    and where that never ends, taken as it is: the change after it is taken up, too.

    Raises:
        DocumentError: with every mistake.
    """
    from drivers.registry import driver_type

    for _ in range(STILL_CHANGING):
        before = {source: _hash_of(source) for source in sources.values()}
        setup = load_setup(path)
        sources = setup.sources
        found = {name: _hash_of(source) for name, source in sources.items()}
        if all(found[name] and found[name] == before.get(source) for name, source in sources.items()):
            break
    for protocol in sorted({machine.profile.protocol for machine in setup.machines}):
        driver_type(protocol).warm_up()
    return setup, found


def _hash_of(path: Path) -> str:
    """Empty for a file that is not there at this moment."""
    with contextlib.suppress(OSError):
        return content_hash(path.read_bytes())
    return ""


@dataclass(slots=True)
class Watch:
    """Looks at the files behind ``edge.yaml`` at ``path``. Blocking: call it in a thread."""

    path: Path
    also: tuple[Path, ...] = ()
    """Files beside those that ``edge.yaml`` names."""
    _taken: Look = field(init=False)
    _before: Look = field(init=False)
    _restless: int = field(default=0, init=False)
    _roots: tuple[tuple[int, int] | None, list[Path]] = field(default=(None, []), init=False)

    def __post_init__(self) -> None:
        self._taken = self._before = self.look()

    def look(self) -> Look:
        """All files of the configuration as they are now."""
        return {path: found for path in self._files() if (found := _state(path)) is not None}

    def has_changed(self) -> bool:
        """Whether something changed since the last time that this was true, and is not changing any more."""
        now = self.look()
        self._restless = self._restless + 1 if now != self._before else 0
        at_rest = self._restless in (0, STILL_CHANGING)
        self._before = now
        if now == self._taken or not at_rest:
            return False
        self._taken, self._restless = now, 0
        return True

    def _files(self) -> Iterator[Path]:
        yield self.path
        state = _state(self.path)
        if state != self._roots[0]:
            self._roots = (state, self._named())
        for root in self._roots[1]:
            if root.is_dir():
                yield from root.rglob("*.yaml")
            else:
                yield root
        yield from self.also

    def _named(self) -> list[Path]:
        """The site file and the folder of profiles, also where the rest of ``edge.yaml`` is wrong."""
        try:
            data = read(self.path).data
        except DocumentError:
            return self._roots[1]
        named = [data.get(key) for key in ("site", "profiles")] if isinstance(data, dict) else []
        folder = self.path.resolve().parent
        return [folder / Path(name).expanduser() for name in named if isinstance(name, str)]


def _state(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return None

"""Lines of whole numbers with their places, for error messages an editor can follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from protocols.documents import DocumentError, Problem, quoted

MAX_BYTES = 64 << 20
"""The largest file that is read: 64 MiB."""

LARGEST = 1_000_000_000
"""The largest number of an instance: sums of a hundred thousand times stay far below what a model holds."""

_WORD = re.compile(r"\S+")


class Word(NamedTuple):
    """One number as it was written: ``col`` counts from 1."""

    text: str
    col: int


class Line:
    """The words of a line, taken one after another."""

    def __init__(self, file: str, number: int, text: str) -> None:
        self.file = file
        self.number = number
        self.words = [Word(found.group(), found.start() + 1) for found in _WORD.finditer(text)]
        self.at = 0
        self.end = len(text.rstrip()) + 1

    @property
    def left(self) -> int:
        """Words not taken yet."""
        return len(self.words) - self.at

    def take(self, what: str, least: int, most: int = LARGEST) -> int:
        """The next number, which is ``what`` and lies from ``least`` to ``most``.

        Raises:
            DocumentError: the line ends, or the word is no whole number or out of range.
        """
        allowed = f"{least} or more" if most == LARGEST else f"{least} to {most}"
        if not self.left:
            fail(self.file, self.number, self.end, f"the line ends where {what} should stand ({allowed})")
        word = self.words[self.at]
        try:
            value = int(word.text) if len(word.text) <= 20 else None
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            wrong = "not a whole number" if value is None else "out of range"
            self.refuse(f"{what}: {quoted(word.text)} is {wrong}, allowed {allowed}")
        self.at += 1
        return value

    def skip(self) -> None:
        """Pass over a word whatever it says."""
        self.at += 1

    def finish(self, what: str) -> None:
        """Nothing may follow on this line, of which ``what`` is the whole."""
        if self.left:
            self.refuse(f"{quoted(self.words[self.at].text)} is too much: {what}")

    def refuse(self, message: str) -> NoReturn:
        """Raise a DocumentError at the next word."""
        col = self.words[self.at].col if self.left else self.end
        fail(self.file, self.number, col, message)


def fail(file: str, line: int, col: int, message: str) -> NoReturn:
    """Raise a DocumentError with one mistake."""
    raise DocumentError([Problem(file, line, col, "", message)])


def lines(text: str, file: str) -> list[Line]:
    """Lines that say something: not the blank ones, not comments that begin with ``#``."""
    return list(_lines(text, file))


def _lines(text: str, file: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if words and not words.startswith("#"):
            yield Line(file, number, line)


def header(found: Sequence[Line], file: str) -> tuple[int, int, bool]:
    """Jobs and machines of the first line, and whether a third number (mean choices a step) is there."""
    if not found:
        fail(file, 1, 1, "the file is empty; an instance begins with the numbers of jobs and of machines")
    first = found[0]
    jobs = first.take("the number of jobs", 1, 1_000_000)
    machines = first.take("the number of machines", 1, 100_000)
    third = bool(first.left)
    if third:
        word = first.words[first.at]
        try:
            float(word.text)
        except ValueError:
            first.refuse(f"the mean number of choices: {quoted(word.text)} is not a number")
        first.skip()
    first.finish("the first line has jobs, machines and, at most, the mean number of choices")
    return jobs, machines, third


def need(found: Sequence[Line], count: int, file: str, what: str) -> None:
    """At least ``count`` lines after the first one."""
    if len(found) - 1 < count:
        last = found[-1]
        fail(file, last.number, last.end, f"{count} {what} are announced, {len(found) - 1} are here")


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        DocumentError: unreadable, too large or not UTF-8.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError([Problem(name, 0, 0, "", f"cannot be read: {error.strerror or error}")]) from None
    if len(raw) > MAX_BYTES:
        raise DocumentError([Problem(name, 0, 0, "", f"larger than {MAX_BYTES >> 20} MiB")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        col = error.start - raw.rfind(b"\n", 0, error.start)
        message = "not UTF-8 text — save the file as UTF-8"
        raise DocumentError([Problem(name, line, col, "", message)]) from None

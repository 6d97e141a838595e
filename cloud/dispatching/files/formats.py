"""The formats of problem files, as a table, and how one is recognised.

A file is read in every format it may be in. One that can be read in two (a few tiny ones can) is refused
until the format is named; one that can be read in none is refused with what the likeliest format finds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cloud.dispatching.files import fjsp, jsp
from cloud.dispatching.files.documents import ProblemFile, is_json, problem_text, read_problem_text
from cloud.dispatching.files.instance import Instance
from cloud.dispatching.files.lines import read_text
from cloud.dispatching.files.naming import instance_of, problem_of
from cloud.dispatching.shop.problem import Problem
from protocols.documents import DocumentError
from protocols.documents import Problem as Mistake


class Format(StrEnum):
    """How a problem is written."""

    JSP = "jsp"
    FJSP = "fjsp"
    SDST = "sdst"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Text:
    """A classic text format: what it can say, its reader and writer."""

    flexible: bool
    setups: bool
    read: Callable[[str, str], Instance]
    write: Callable[[Instance], str]


TEXTS: dict[Format, Text] = {
    Format.JSP: Text(False, False, jsp.read, jsp.write),
    Format.FJSP: Text(True, False, fjsp.read, fjsp.write),
    Format.SDST: Text(True, True, fjsp.read_with_setups, fjsp.write_with_setups),
}


def read_problem(path: Path, format_: Format | None = None) -> ProblemFile:
    """The problem in a file, whose format is recognised when it is not given.

    Raises:
        DocumentError: every message with file, line and column, the value and what is allowed.
    """
    return problem_from(read_text(path), str(path), format_)


def problem_from(text: str, file: str, format_: Format | None = None) -> ProblemFile:
    """As :func:`read_problem`, for text; ``file`` is the name that messages show."""
    name = Path(file).stem
    if format_ is Format.JSON or (format_ is None and is_json(text)):
        return read_problem_text(text, file)
    instance = TEXTS[format_].read(text, file) if format_ else _recognised(text, file)
    return ProblemFile(name=name, problem=problem_of(instance))


def _recognised(text: str, file: str) -> Instance:
    read: dict[Format, Instance] = {}
    errors: list[DocumentError] = []
    for kind, way in TEXTS.items():
        try:
            read[kind] = way.read(text, file)
        except DocumentError as error:
            errors.append(error)
    if len(read) == 1:
        return next(iter(read.values()))
    if read:
        named = " or ".join(read)
        raise DocumentError([Mistake(file, 1, 1, "", f"this can be read as {named}: say --format which")])
    # Whoever came farthest before a mistake was most likely meant.
    raise max(errors, key=lambda error: (error.problems[0].line, error.problems[0].col))


def problem_written(problem: Problem, format_: Format, name: str = "") -> str:
    """The problem as the text of a file.

    Raises:
        NotExpressible: the format cannot say all of it.
    """
    if format_ is Format.JSON:
        return problem_text(ProblemFile(name=name, problem=problem))
    way = TEXTS[format_]
    return way.write(instance_of(problem, format_, flexible=way.flexible, setups=way.setups))

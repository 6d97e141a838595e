"""YAML documents that people write: every mistake at once, each with the place where it is made.

``load`` reads a file and checks it with a pydantic model; what is wrong comes back as one
:class:`DocumentError` whose text is ready for a terminal::

    press.yaml:14:17  tags.load.word_order: "CBAD" is not one of ABCD, CDAB, BADC, DCBA — did you mean CDAB?
    press.yaml:22:5   tags.load: unknown key "scael" — did you mean scale?

Nothing in a document is ever executed: only plain mappings, sequences and scalars are built, from
YAML's own tags, within a bound of bytes, depth and values (so that aliases cannot multiply).
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

from protocols.mistakes import (
    DocumentError,
    Finding,
    Findings,
    Location,
    Problem,
    nearest,
    not_one_of,
    quoted,
)
from protocols.plain_yaml import Builder, step

__all__ = [
    "MAX_BYTES",
    "Document",
    "DocumentError",
    "Expansion",
    "Finding",
    "Findings",
    "Location",
    "Problem",
    "load",
    "loads",
    "nearest",
    "not_one_of",
    "parse",
    "quoted",
    "read",
]

MAX_BYTES = 1 << 20
"""The largest document that is read: 1 MiB."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Expansion:
    """Plain data made from what was written: short forms in full.

    ``origins`` tells for a location in ``data`` where it was written instead, for all that lies below it.
    ``findings`` are mistakes in the short forms, at the places where they were written.
    """

    data: Any
    origins: Mapping[Location, Location] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class Document:
    """A parsed document: its plain ``data`` and, for every value, the place it was written.

    Data without a ``root`` was written in no file (options on a command line): it has no places.
    """

    def __init__(
        self, name: str, data: Any, root: Node | None, origins: Mapping[Location, Location] | None = None
    ) -> None:
        self.name = name
        self.data = data
        self._root = root
        self._origins = origins or {}

    def problem(self, location: Location, message: str, *, at_key: bool = False) -> Problem:
        """A problem at a location in the data; ``at_key`` points at the key rather than its value."""
        if self._root is None:
            return Problem(self.name, 0, 0, ".".join(str(part) for part in location), message)
        node, reached = self._find(location, at_key=at_key)
        line, col = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (1, 1)
        path = ".".join(str(part) for part in reached)
        return Problem(self.name, line, col, path, message)

    def part(self, location: Location) -> Document:
        """What lies at an existing location as a document of its own; places stay those of the file.

        Raises:
            LookupError: there is nothing at that location.
        """
        data = self.data
        for key in location:
            data = data[key]
        node, _ = self._find(location, at_key=False)
        return Document(self.name, data, node)

    def validate(self, model: type[M]) -> M:
        """The document as a model.

        A model may have a class method ``expand(data) -> Expansion`` for short forms; what is wrong in
        their full form is said where the short form was written, and the model's validators find
        ``expanded`` in their context. It may have a class method
        ``cross_check(data) -> Iterable[Finding]`` for what belongs together. Both see the plain data, right
        or wrong, so that their findings come with all the others.

        Raises:
            DocumentError: with every mistake pydantic and the model's own validators find.
        """
        expand = getattr(model, "expand", None)
        if expand is not None:
            return self._expanded(expand(self.data), model)
        return self._validate(model)

    def _expanded(self, expansion: Expansion, model: type[M]) -> M:
        found = {self.problem(f.location, f.message): None for f in expansion.findings}
        full = Document(self.name, expansion.data, self._root, expansion.origins)
        try:
            made = full._validate(model, {"expanded": True})
        except DocumentError as error:
            found |= dict.fromkeys(error.problems)
        if found:
            raise DocumentError(sorted(found, key=lambda p: (p.line, p.col)))
        return made

    def _validate(self, model: type[M], context: Mapping[str, Any] | None = None) -> M:
        try:
            return model.model_validate(self.data, context=context)
        except ValidationError as error:
            problems = {p: None for detail in error.errors() for p in self._explain(detail, model)}
        # pydantic looks at what belongs together only when every part is right; nobody should have to
        # mend a file twice for that.
        cross_check = getattr(model, "cross_check", None)
        if cross_check is not None:
            problems |= {self.problem(f.location, f.message): None for f in cross_check(self.data)}
        raise DocumentError(sorted(problems, key=lambda p: (p.line, p.col)))

    def _explain(self, detail: ErrorDetails, model: type[BaseModel]) -> Iterator[Problem]:
        location: Location = tuple(detail["loc"])
        kind, value = detail["type"], detail["input"]
        context: dict[str, Any] = detail.get("ctx", {})
        own = context.get("error")
        if isinstance(own, Findings):
            for finding in own.findings:
                yield self.problem((*location, *finding.location), finding.message)
        elif kind == "extra_forbidden":
            key = str(location[-1])
            hint, allowed = None, sorted(_keys_at(model, location[:-1]))
            hint = nearest(key, allowed)
            tail = (
                f" — did you mean {hint}?" if hint else f" — allowed: {', '.join(allowed)}" if allowed else ""
            )
            found = self.problem(location, "", at_key=True)
            parent = self.problem(location[:-1], "").path
            yield Problem(self.name, found.line, found.col, parent, f'unknown key "{key}"{tail}')
        elif kind == "missing" and isinstance(location[-1], int):
            yield self.problem(location[:-1], f"needs at least {location[-1] + 1}, has {location[-1]}")
        elif kind == "missing":
            yield self.problem(location[:-1], f'missing key "{location[-1]}"', at_key=True)
        elif location and location[-1] == "[key]":
            message = _message(kind, location[-2], context, detail["msg"])
            yield self.problem(location[:-1], message, at_key=True)
        elif (
            kind == "too_short" and isinstance(value, Mapping | list) and len(value) >= context["min_length"]
        ):
            pass  # short because its items are wrong, which is said of each
        else:
            yield self.problem(location, _message(kind, value, context, detail["msg"]))

    def _find(self, location: Location, *, at_key: bool) -> tuple[Node | None, list[int | str]]:
        """The node nearest to a location and the part of the location that exists in the document.

        Names of union members, which pydantic puts into a location, match nothing and are passed over.
        """
        node, key, reached = self._root, self._root, []
        for part in self._written(location):
            if (found := step(node, part)) is not None:
                key, node = found
                reached.append(part)
        return (key if at_key else node), reached

    def _written(self, location: Location) -> Location:
        """A location in expanded data as the one in the document that it came from."""
        for length in range(len(location), 0, -1) if self._origins else ():
            if (origin := self._origins.get(location[:length])) is not None:
                return (*origin, *location[length:])
        return location


_NUMBER = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (put it in quotes)",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "decimal_parsing": "a decimal number",
    "uuid_parsing": "a UUID",
    "finite_number": "a finite number",
}
_BOUND = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
    "multiple_of": ("multiple_of", "must be a multiple of"),
}


def _message(kind: str, value: object, context: Mapping[str, Any], fallback: str) -> str:
    """What is wrong with a value, in the words of somebody who writes YAML."""
    if kind in ("enum", "literal_error", "union_tag_invalid"):
        expected = context.get("expected") or context.get("expected_tags", "")
        if kind == "union_tag_invalid":
            value = context.get("tag", value)
        return not_one_of(value, re.findall(r"'([^']*)'", expected) or [expected])
    if kind in _NUMBER:
        return f"{quoted(value)} is not {_NUMBER[kind]}"
    if kind in _BOUND:
        name, words = _BOUND[kind]
        return f"{quoted(value)} {words} {context[name]}"
    if kind == "too_short":
        return f"needs at least {context['min_length']}, has {context['actual_length']}"
    if kind == "string_pattern_mismatch":
        return f"{quoted(value)} does not match {context['pattern']}"
    if kind in ("value_error", "assertion_error"):
        own = str(context.get("error", fallback))
        shown = quoted(value)
        whole = isinstance(value, Mapping | list | BaseModel) or own.startswith(shown)
        return own if whole else f"{shown} {own}"
    words = fallback[:1].lower() + fallback[1:]
    return f"{quoted(value)}: {words}"


def _keys_at(model: Any, location: Location) -> set[str]:
    """The keys a model allows at a location, following fields, mappings, lists and unions."""
    found = [model]
    for part in location:
        found = [inner for outer in found for inner in _inner(outer, part)] or found
    return {
        name
        for kind in found
        for plain in _plain(kind)
        if isinstance(plain, type) and issubclass(plain, BaseModel)
        for field, info in plain.model_fields.items()
        for name in [info.alias or field]
    }


def _inner(kind: Any, part: int | str) -> Iterator[Any]:
    for plain in _plain(kind):
        origin, arguments = typing.get_origin(plain), typing.get_args(plain)
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            for field, info in plain.model_fields.items():
                if part in (field, info.alias):
                    yield info.annotation
        elif origin in (dict, Mapping) and len(arguments) == 2:
            yield arguments[1]
        elif origin in (list, tuple, set, frozenset, Sequence) and arguments and isinstance(part, int):
            yield arguments[0]


def _plain(kind: Any) -> Iterator[Any]:
    """The members of a union, without annotations."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        yield from _plain(typing.get_args(kind)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(kind):
            yield from _plain(member)
    else:
        yield kind


def parse(text: str, name: str) -> Document:
    """Parse YAML text (the last of several documents is an error) into plain data with places.

    Raises:
        DocumentError: bad YAML, a tag that is not plain data, a key twice, or a bound exceeded.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"larger than {MAX_BYTES >> 20} MiB, the most that is read"
        raise DocumentError([Problem(name, 1, 1, "", message)])
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, col = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        words = " ".join(str(part).strip() for part in (error.context, error.problem) if part)
        raise DocumentError([Problem(name, line, col, "", f"not YAML: {words}")]) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise DocumentError([Problem(name, 1, 1, "", f"not YAML: {error or type(error).__name__}")]) from None
    if root is None:  # nothing in it, or comments only
        root = yaml.compose("{}")
    builder = Builder(name)
    data = builder.build(root)
    if builder.problems:
        raise DocumentError(builder.problems)
    return Document(name, data, root)


def loads(text: str, model: type[M], name: str) -> M:
    """Check YAML text against a model; ``name`` is the file name that messages show.

    Raises:
        DocumentError: every mistake with its place.
    """
    return parse(text, name).validate(model)


def read(path: Path) -> Document:
    """Read and parse a file, without checking it against a model yet.

    Raises:
        DocumentError: unreadable, too large, not UTF-8, or not plain YAML.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError([Problem(name, 1, 1, "", f"cannot be read: {error.strerror or error}")]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DocumentError([Problem(name, line, 1, "", "not UTF-8 text — save the file as UTF-8")]) from None
    return parse(text, name)


def load(path: Path, model: type[M]) -> M:
    """Read a file and check it against a model.

    Raises:
        DocumentError: every mistake with its place.
    """
    return read(path).validate(model)

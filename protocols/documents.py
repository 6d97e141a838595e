"""YAML documents that people write: every mistake at once, each with the place where it is made.

``load`` reads a file and checks it with a pydantic model; what is wrong comes back as one
:class:`DocumentError` whose text is ready for a terminal::

    press.yaml:14:17  tags.load.word_order: "CBAD" is not one of ABCD, CDAB, BADC, DCBA — did you mean CDAB?
    press.yaml:22:5   tags.load: unknown key "scael" — did you mean scale?

Nothing in a document is ever executed: only plain mappings, sequences and scalars are built, from
YAML's own tags, within a bound of bytes, depth and values (so that aliases cannot multiply).
"""

from __future__ import annotations

import difflib
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1 << 20
"""The largest document that is read: 1 MiB."""

MAX_VALUES = 200_000
"""The most values a document may hold once its aliases are followed."""

MAX_DEPTH = 40
"""The deepest nesting that is followed."""

M = TypeVar("M", bound=BaseModel)

Location = tuple[int | str, ...]
"""Where in the data: keys and indices from the top."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a document: where (line and column from 1), what, and what would be right."""

    file: str
    line: int
    col: int
    path: str
    message: str

    @property
    def place(self) -> str:
        """``file:line:col``, as editors and terminals open it; the name alone for what stands in no file."""
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file

    @property
    def text(self) -> str:
        """The message with the path of the key it speaks of."""
        return f"{self.path}: {self.message}" if self.path else self.message

    def __str__(self) -> str:
        return f"{self.place}  {self.text}"


class DocumentError(ValueError):
    """A document that cannot be used as it is. ``problems`` holds every mistake, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        width = max((len(p.place) for p in self.problems), default=0)
        super().__init__("\n".join(f"{p.place:<{width}}  {p.text}" for p in self.problems))


class Finding(NamedTuple):
    """One mistake found by a model's own validator, relative to the model it was found in."""

    location: Location
    message: str


@dataclass(frozen=True, slots=True)
class Expansion:
    """Plain data made from what was written: short forms in full.

    ``origins`` tells for a location in ``data`` where it was written instead, for all that lies below it.
    ``findings`` are mistakes in the short forms, at the places where they were written.
    """

    data: Any
    origins: Mapping[Location, Location] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


class Findings(ValueError):
    """Raise this in a pydantic validator to report several mistakes, each at its own place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("; ".join(f.message for f in self.findings))


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed word that ``word`` was most likely meant to be, if one is near enough."""
    best = max(allowed, key=lambda candidate: _likeness(word, candidate), default=None)
    return best if best is not None and _likeness(word, best) >= 0.6 else None


def _likeness(word: str, candidate: str) -> float:
    """Like difflib's ratio, but a common beginning and letters that only changed places count for more."""
    word, candidate = word.casefold(), candidate.casefold()
    pairs = list(zip(word, candidate, strict=False))
    ratio = difflib.SequenceMatcher(None, word, candidate, autojunk=False).ratio()
    beginning = next((n for n, pair in enumerate(pairs) if pair[0] != pair[1]), len(pairs))
    swapped = 0.0
    if len(word) > 2 and sorted(word) == sorted(candidate):
        # CBAD is CDAB with two letters exchanged rather than BADC turned round.
        swapped = 0.25 + 0.6 * sum(a == b for a, b in pairs) / len(pairs)
    return ratio + 0.05 * min(beginning, 4) + swapped


def not_one_of(value: object, allowed: Iterable[str]) -> str:
    """``"CBAD" is not one of ABCD, CDAB — did you mean CDAB?``"""
    names = list(allowed)
    hint = nearest(str(value), names)
    shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    return f"{quoted(value)} is not one of {shown}" + (f" — did you mean {hint}?" if hint else "")


def quoted(value: object) -> str:
    """A value as a message shows it: text in quotes, long text cut."""
    text = f'"{value}"' if isinstance(value, str) else _yaml_word(value)
    return text if len(text) <= 60 else text[:57] + "…" + ('"' if isinstance(value, str) else "")


def _yaml_word(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)


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
            step = _step(node, part)
            if step is not None:
                key, node = step
                reached.append(part)
        return (key if at_key else node), reached

    def _written(self, location: Location) -> Location:
        """A location in expanded data as the one in the document that it came from."""
        for length in range(len(location), 0, -1) if self._origins else ():
            if (origin := self._origins.get(location[:length])) is not None:
                return (*origin, *location[length:])
        return location


def _step(node: Node | None, part: int | str) -> tuple[Node, Node] | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and str(_scalar(key)) == str(part):
                return key, value
        for key, value in node.value:
            if _is_merge(key):
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    if (step := _step(source, part)) is not None:
                        return step
    elif isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return node.value[part], node.value[part]
    return None


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


_TRUE, _FALSE = {"true", "yes", "on", "y"}, {"false", "no", "off", "n"}
_TAG = "tag:yaml.org,2002:"


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    return int(digits, 0) if re.match(r"[-+]?0[xob]", digits) else int(digits)


def _real(text: str) -> float:
    digits = text.replace("_", "").lower()
    if digits.endswith(".inf"):
        return -math.inf if digits.startswith("-") else math.inf
    return math.nan if digits.endswith(".nan") else float(digits)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() in _TRUE,
    "int": _integer,
    "float": _real,
    "str": str,
    "timestamp": str,
    "value": str,
    "merge": str,
}


def _scalar(node: ScalarNode) -> Any:
    make = _SCALARS.get(str(node.tag).removeprefix(_TAG))
    if make is None:
        raise KeyError(node.tag)
    return make(node.value)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and str(key.tag) == _TAG + "merge"


class _Builder:
    """Plain data from a node tree, within bounds; collects what is not plain data as problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._left = MAX_VALUES

    def build(self, node: Node, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0:
            raise DocumentError([self._at(node, f"more than {MAX_VALUES} values after following aliases")])
        if depth > MAX_DEPTH:
            raise DocumentError([self._at(node, f"nested deeper than {MAX_DEPTH} levels")])
        if isinstance(node, MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        assert isinstance(node, ScalarNode)  # noqa: S101 - YAML has three kinds of node
        try:
            return _scalar(node)
        except KeyError:
            self.problems.append(self._at(node, f'the tag "{node.tag}" is not allowed, only plain YAML'))
        except ValueError:
            self.problems.append(self._at(node, f"{quoted(node.value)} is not a number"))
        return None

    def _mapping(self, node: MappingNode, depth: int) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for source in sources:
                    built = self.build(source, depth + 1)
                    if isinstance(built, dict):
                        merged = built | merged
                    else:
                        self.problems.append(self._at(source, "<< merges mappings only"))
                continue
            if not isinstance(key_node, ScalarNode):
                self.problems.append(self._at(key_node, "a key must be a single word or number"))
                continue
            key = self.build(key_node, depth + 1)
            if key in lines:
                first = f"first in line {lines[key] + 1}"
                self.problems.append(self._at(key_node, f'the key "{key}" is here twice ({first})'))
                continue
            lines[key] = key_node.start_mark.line
            data[key] = self.build(value_node, depth + 1)
        return merged | data

    def _at(self, node: Node, message: str) -> Problem:
        mark = node.start_mark
        return Problem(self.name, mark.line + 1, mark.column + 1, "", message)


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
    builder = _Builder(name)
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

"""Problems and plans as JSON documents with a schema: for other programs, for keeping, for passing on.

A document names its kind and version in ``format``; unknown keys are mistakes. ``schema_text`` is what
``docs/schemas/`` holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from cloud.dispatching.files.lines import read_text
from cloud.dispatching.files.places import line_and_column, position
from cloud.dispatching.problem import Problem
from cloud.dispatching.schedule import Schedule
from protocols.documents import DocumentError, nearest, quoted
from protocols.documents import Problem as Mistake


class ProblemFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-problem-1"):
    """A problem to plan; ``name`` is shown to people."""

    name: str = ""
    problem: Problem


class PlanFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-plan-1"):
    """A plan of the problem called ``name``, which it does not contain."""

    name: str = ""
    schedule: Schedule


KINDS: dict[str, type[ProblemFile] | type[PlanFile]] = {"problem": ProblemFile, "plan": PlanFile}
"""What has a schema, by the name people give it."""

T = TypeVar("T", ProblemFile, PlanFile)


def is_json(text: str) -> bool:
    """Whether a problem file is a JSON document; the classic formats begin with a number."""
    return text.lstrip().startswith("{")


def read_problem_text(text: str, file: str) -> ProblemFile:
    """The problem in a JSON text; ``file`` is the name that messages show.

    Raises:
        DocumentError: with file, line and column of the mistake, the value and what is allowed.
    """
    return _read(text, file, ProblemFile)


def read_plan(path: Path) -> PlanFile:
    """The plan in a file; raises as :func:`read_problem_text`."""
    return _read(read_text(path), str(path), PlanFile)


def read_plan_text(text: str, file: str) -> PlanFile:
    """As :func:`read_plan`, for text."""
    return _read(text, file, PlanFile)


def problem_text(file: ProblemFile) -> str:
    """The JSON of a problem file."""
    return _written(file)


def plan_text(file: PlanFile) -> str:
    """The JSON of a plan file."""
    return _written(file)


def schema_text(kind: str) -> str:
    """The JSON Schema of ``problem`` or ``plan`` files; raises KeyError for another kind."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(KINDS[kind])}
    for part in schema.get("$defs", {}).values():
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _written(file: ProblemFile | PlanFile) -> str:
    return msgspec.json.format(msgspec.json.encode(file), indent=1).decode() + "\n"


def _read(text: str, file: str, kind: type[T]) -> T:
    try:
        plain = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise DocumentError([_malformed(text, file, str(error))]) from None
    except RecursionError:
        raise DocumentError([Mistake(file, 1, 1, "", "not JSON: nested too deep")]) from None
    mistakes = [
        _at(text, file, path, f"unknown key {quoted(str(path[-1]))}{_allowed(str(path[-1]), allowed)}", True)
        for path, allowed in _unknown(plain, msgspec.inspect.type_info(kind), ())
    ]
    if isinstance(plain, dict) and "format" not in plain:
        mistakes.append(Mistake(file, 1, 1, "", f'missing key "format", which is {_tag(kind)}'))
    try:
        made = msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        mistakes.append(_invalid(text, file, plain, str(error)))
    if mistakes:
        raise DocumentError(sorted(mistakes, key=lambda m: (m.line, m.col)))
    return made


def _tag(kind: type[T]) -> str:
    return str(kind.__struct_config__.tag)


def _malformed(text: str, file: str, message: str) -> Mistake:
    found = re.search(r"\(byte (\d+)\)", message)
    at = len(text.encode()[: int(found.group(1))].decode(errors="ignore")) if found else len(text)
    line, col = line_and_column(text, at)
    words = re.sub(r"^JSON is malformed: | \(byte \d+\)$", "", message)
    return Mistake(file, line, col, "", f"not JSON: {words}")


def _invalid(text: str, file: str, plain: Any, message: str) -> Mistake:
    """What msgspec says, at its place: ``Expected `int`, got `str` - at `$.problem.now```."""
    words, _, where = message.partition(" - at `")
    path: list[str | int] = []
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", where.removesuffix("`")):
        if index == "...":
            break
        path.append(int(index) if index else name)
    value = plain
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            break
    else:
        if isinstance(value, str | int | float | bool) or value is None:
            words = f"{quoted(value)}: {words}"
    return _at(text, file, tuple(path), words.replace("`", ""), False)


def _at(text: str, file: str, path: tuple[str | int, ...], message: str, at_key: bool) -> Mistake:
    line, col = line_and_column(text, position(text, path, at_key=at_key))
    shown = path[:-1] if at_key else path
    return Mistake(file, line, col, ".".join(str(part) for part in shown), message)


def _allowed(key: str, allowed: list[str]) -> str:
    hint = nearest(key, allowed)
    return f" — did you mean {hint}?" if hint else f" — allowed: {', '.join(allowed)}"


def _unknown(
    value: Any, kind: msgspec.inspect.Type, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    """Keys that no field has, with what is allowed there."""
    if isinstance(kind, msgspec.inspect.UnionType):
        for member in kind.types:
            yield from _unknown(value, member, path)
    elif isinstance(kind, msgspec.inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        if kind.tag_field:
            fields[kind.tag_field] = msgspec.inspect.StrType()
        for key, inner in value.items():
            if key in fields:
                yield from _unknown(inner, fields[key], (*path, key))
            else:
                yield (*path, key), sorted(fields)
    elif isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        for index, inner in enumerate(value if isinstance(value, list) else ()):
            yield from _unknown(inner, kind.item_type, (*path, index))
    elif isinstance(kind, msgspec.inspect.DictType) and isinstance(value, dict):
        for key, inner in value.items():
            yield from _unknown(inner, kind.value_type, (*path, key))

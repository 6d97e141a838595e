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
from cloud.dispatching.questions.changes import NewOrder
from cloud.dispatching.questions.scenario import Scenario
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from protocols.documents import DocumentError, nearest, not_one_of, quoted
from protocols.documents import Problem as Mistake


class ProblemFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-problem-1"):
    """A problem to plan; ``name`` is shown to people."""

    name: str = ""
    problem: Problem


class PlanFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-plan-1"):
    """A plan of the problem called ``name``, which it does not contain."""

    name: str = ""
    schedule: Schedule


class OrderFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-order-1"):
    """A new order and its work, as it would come into a problem."""

    order: NewOrder


class ScenarioFile(Struct, frozen=True, kw_only=True, tag_field="format", tag="onelot-scenario-1"):
    """Changes to ask about, all of them together."""

    scenario: Scenario


Document = ProblemFile | PlanFile | OrderFile | ScenarioFile

KINDS: dict[str, type[Document]] = {
    "problem": ProblemFile,
    "plan": PlanFile,
    "order": OrderFile,
    "scenario": ScenarioFile,
}
"""What has a schema, by the name people give it."""

T = TypeVar("T", ProblemFile, PlanFile, OrderFile, ScenarioFile)


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


def read_order(path: Path) -> NewOrder:
    """The new order in a file; raises as :func:`read_problem_text`."""
    return _read(read_text(path), str(path), OrderFile).order


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file; raises as :func:`read_problem_text`."""
    return _read(read_text(path), str(path), ScenarioFile).scenario


def problem_text(file: ProblemFile) -> str:
    """The JSON of a problem file."""
    return _written(file)


def plan_text(file: PlanFile) -> str:
    """The JSON of a plan file."""
    return _written(file)


def schema_text(kind: str) -> str:
    """The JSON Schema of the files of a kind; raises KeyError for one that is not in ``KINDS``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(KINDS[kind])}
    for part in schema.get("$defs", {}).values():
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
            for value in part["properties"].values():
                _let_be_numbers(value)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _let_be_numbers(value: Any) -> None:
    """Decimals are written as text and read from numbers, too, digit by digit."""
    for one in value.get("anyOf", [value]):
        if one.get("format") == "decimal":
            one["type"] = ["string", "number"]


def _written(file: Document) -> str:
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
        mistakes.append(_invalid(text, file, plain, str(error), kind))
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


def _invalid(text: str, file: str, plain: Any, message: str, kind: type[T]) -> Mistake:
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
        if (tags := _tags(kind, path)) and isinstance(value, str) and value not in tags:
            words = not_one_of(value, tags)
        elif isinstance(value, str | int | float | bool) or value is None:
            words = f"{quoted(value)}: {words}"
    return _at(text, file, tuple(path), words.replace("`", ""), False)


def _tags(kind: type[T], path: list[str | int]) -> list[str]:
    """What may stand at ``path``, if it is what tells the members of a union apart."""
    kinds = [msgspec.inspect.type_info(kind)]
    for part in path:
        kinds = [
            k for one in kinds for k in (one.types if isinstance(one, msgspec.inspect.UnionType) else (one,))
        ]
        structs = [one for one in kinds if isinstance(one, msgspec.inspect.StructType)]
        if structs and all(one.tag_field == part for one in structs):
            return [str(one.tag) for one in structs]
        inner: list[msgspec.inspect.Type] = [
            field.type for one in structs for field in one.fields if field.encode_name == part
        ]
        for one in kinds:
            if isinstance(one, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
                inner.append(one.item_type)
            elif isinstance(one, msgspec.inspect.DictType):
                inner.append(one.value_type)
        kinds = inner
    return []


def _at(text: str, file: str, path: tuple[str | int, ...], message: str, at_key: bool) -> Mistake:
    line, col = line_and_column(text, position(text, path, at_key=at_key))
    shown = path[:-1] if at_key else path
    return Mistake(file, line, col, ".".join(str(part) for part in shown), message)


def _allowed(key: str, allowed: list[str]) -> str:
    hint = nearest(key, allowed)
    return f" — did you mean {hint}?" if hint else f" — allowed: {', '.join(allowed)}"


def _meant(value: Any, members: tuple[msgspec.inspect.Type, ...]) -> Iterator[msgspec.inspect.Type]:
    """Of a union, what the value's tag says; all of it where there are no tags."""
    for member in members:
        field = member.tag_field if isinstance(member, msgspec.inspect.StructType) else None
        if field is None or (isinstance(value, dict) and value.get(field) == getattr(member, "tag", None)):
            yield member


def _unknown(
    value: Any, kind: msgspec.inspect.Type, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    """Keys that no field has, with what is allowed there."""
    if isinstance(kind, msgspec.inspect.UnionType):
        for member in _meant(value, kind.types):
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

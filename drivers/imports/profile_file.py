"""Profiles as an import writes them, and writes them again without touching what people wrote between."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from drivers.imports.merging import Change, Kind
from drivers.imports.taglist import MAX_BYTES, TagList

_WIDTH = 4096
"""One line for one tag, however long its description."""


def record_of(profile: Path) -> Path:
    """Where the last import is remembered: ``press.imported.json`` beside ``press.yaml``."""
    return profile.with_suffix(".imported.json")


def read_record(path: Path) -> dict[str, Any] | None:
    """The last import, or None when nothing usable is remembered."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("tags"), dict) else None


def record_text(found: TagList, source: str) -> str:
    """What is remembered of an import."""
    kept = {"source": source, "tags": found.tags, "defaults": found.defaults}
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def new_data(found: TagList, *, vendor: str, model: str, source: str) -> dict[str, Any]:
    """A new profile as plain data."""
    top: dict[str, Any] = {"vendor": vendor, "model": model, "source": source, "protocol": found.protocol}
    return {**top, **found.defaults, "tags": found.tags}


def new_text(data: Mapping[str, Any], command: str) -> str:
    """A new profile as YAML: one line a tag."""
    comment = f"Imported: {command}\nEdit it as you like: importing again keeps what was edited by hand."
    return profile_text(data, comment)


def profile_text(data: Mapping[str, Any], comment: str) -> str:
    """A profile as YAML, one line a tag, with a comment above it."""
    top = CommentedMap({key: _yaml(value) for key, value in data.items() if key != "tags"})
    top["tags"] = CommentedMap({name: _flow(tag) for name, tag in data["tags"].items()})
    top.yaml_set_start_comment(comment)
    return _dump(top)


def _yaml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return CommentedMap({key: _yaml(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return CommentedSeq([_flow(item) if isinstance(item, Mapping) else item for item in value])
    return value


def _flow(tag: Mapping[str, Any]) -> CommentedMap:
    made = CommentedMap(dict(tag))
    made.fa.set_flow_style()
    return made


def changed_text(text: str, changes: Sequence[Change], defaults: Mapping[str, Any]) -> str:
    """A profile's text with an import's changes in it; comments, order and layout of the rest stay."""
    top = _round_trip().load(text)
    tags = top["tags"]
    for change in changes:
        if change.kind is Kind.ADDED:
            tags[change.tag] = _flow(change.new)
        elif change.kind is Kind.REMOVED:
            del tags[change.tag]
        elif change.kind is Kind.CHANGED and change.new is None:
            del tags[change.tag][change.key]
        elif change.kind is Kind.CHANGED:
            tags[change.tag][change.key] = change.new
    for key, value in defaults.items():
        top[key] = _yaml(value)
    return _dump(top)


def _round_trip() -> YAML:
    yaml = YAML(typ="rt")
    yaml.width = _WIDTH
    yaml.preserve_quotes = True
    return yaml


def _dump(top: CommentedMap) -> str:
    out = io.StringIO()
    _round_trip().dump(top, out)
    return out.getvalue()


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    made = path.with_name(path.name + ".new")
    made.write_text(text, encoding="utf-8", newline="\n")
    os.replace(made, path)

"""``onelot driver list`` and ``show``: what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from drivers.profile.files import find_profiles, nearest_profile
from drivers.registry import driver_names, driver_type
from edge.commission.asking import PROFILES, AsJson, columns, driver_of, fail, find_profile


def list_drivers(as_json: AsJson = False) -> None:
    """List the drivers and the profiles that come with the product."""
    rows: list[dict[str, str]] = []
    for name in driver_names():
        try:
            kind = driver_type(name)
        except (ImportError, AttributeError, TypeError) as error:
            # One broken package must not hide the drivers that work.
            rows.append({"name": name, "example": "✕", "summary": f"cannot be loaded: {error}"})
        else:
            rows.append({"name": name, "example": kind.example, "summary": kind.summary})
    profiles = find_profiles(PROFILES)
    if as_json:
        typer.echo(json.dumps({"drivers": rows, "profiles": list(profiles)}, indent=2, ensure_ascii=False))
        return
    typer.echo(columns((row["name"], row["example"], row["summary"]) for row in rows))
    if profiles:
        typer.echo(f"\nprofiles: {', '.join(profiles)}")


def show(
    name: Annotated[str, typer.Argument(help="A driver, e.g. modbus, or a profile, e.g. example/press.")],
    as_json: AsJson = False,
) -> None:
    """Show a driver (address, options, keys of its profiles), or a profile to start your own from.

    With --json a driver comes with the JSON Schema of its profiles, for editors.
    """
    if name not in driver_names() and name.removesuffix(".yaml") in find_profiles(PROFILES):
        typer.echo(find_profile(name).read_text(encoding="utf-8"), nl=False)
        return
    if name not in driver_names():
        known = [*driver_names(), *find_profiles(PROFILES)]
        hint = nearest_profile(name, known)
        tail = f"did you mean {hint}?" if hint else "onelot driver list shows what there is"
        raise fail(f'no driver and no profile "{name}" — {tail}')
    kind = driver_of(name)
    options, profile = kind.config.model_json_schema(), kind.profile.model_json_schema()
    if as_json:
        shown = {"name": kind.name, "example": kind.example, "options": options, "profile": profile}
        typer.echo(json.dumps(shown, indent=2))
        return
    typer.echo(f"{kind.name}  {kind.summary}\naddress  {kind.example}\noptions of a device (site.yaml)")
    typer.echo(columns(_keys(options, options)) or "  none")
    typer.echo("keys of a profile")
    typer.echo(columns(_keys(profile, profile)))


def _keys(part: dict[str, Any], schema: dict[str, Any], under: str = "") -> Iterator[tuple[str, str, str]]:
    """Every key below a part of a JSON Schema: name, default, and what it holds."""
    for name, about in part.get("properties", {}).items():
        default = "required" if name in part.get("required", ()) else json.dumps(about.get("default"))
        inner, dots = _inner(about, schema)
        if inner is not None:
            yield (
                f"  {under}{name}",
                "required" if default == "required" else "",
                about.get("description", ""),
            )
            yield from _keys(inner, schema, f"{under}{name}.{dots}")
            continue
        words = [about.get("description", ""), _allowed(about, schema)]
        yield f"  {under}{name}", default, ": ".join(word for word in words if word)


def _inner(about: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The mapping that a key holds, and what stands for its free names, if any."""
    for way in (about, *about.get("anyOf", ())):
        found = _resolved(way, schema)
        if "properties" in found:
            return found, ""
        more = [found.get("additionalProperties"), *found.get("patternProperties", {}).values()]
        for value in more:
            if isinstance(value, dict) and "properties" in _resolved(value, schema):
                return _resolved(value, schema), "*."
    return None, ""


def _allowed(about: dict[str, Any], schema: dict[str, Any]) -> str:
    for way in (about, *about.get("anyOf", ())):
        if found := _resolved(way, schema).get("enum"):
            return ", ".join(map(str, found))
    return ""


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schema.get("$defs", {}).get(reference, part)
    return found

"""``onelot driver …``: what a machine integrator does at a terminal before a machine goes live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from drivers.driver import Driver, DriverError, DriverType
from drivers.imports.command import import_list
from drivers.profile import AnyProfile
from drivers.profile_files import check_profile, find_profiles, load_profile
from drivers.recordings.command import record_device, replay_recording
from drivers.registry import driver_names, driver_type
from drivers.scaffold.command import new_driver
from protocols.documents import DocumentError, Problem, nearest, read
from protocols.values import Quality, Reading

app = typer.Typer(
    help="Connect machines: check profiles, simulate them, read a machine once.", no_args_is_help=True
)

PROFILES = Path(__file__).resolve().parent.parent / "firmware_configs" / "profiles"
"""The profiles that come with the product."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for other programs.")]
ProfileName = Annotated[str, typer.Argument(help="A profile's file, or its name such as virtual/laser.")]


def _fail(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def _columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of text in aligned columns, the last one as long as it is."""
    table = [list(row) for row in rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))] if table else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def find_profile(name: str) -> Path:
    """A profile by its file or by its name below the product's profiles.

    Raises:
        typer.Exit: there is no such profile; the nearest name is shown.
    """
    if (path := Path(name)).is_file():
        return path
    known = find_profiles(PROFILES)
    if name.removesuffix(".yaml") in known:
        return known[name.removesuffix(".yaml")]
    hint = nearest(name, known)
    tail = f"did you mean {hint}?" if hint else f"there are {', '.join(known)}, or any file"
    raise _fail(f'no profile file or name "{name}" — {tail}')


def _profile(name: str) -> AnyProfile:
    try:
        return load_profile(find_profile(name))
    except DocumentError as error:
        raise _fail(str(error)) from None


@app.command("list")
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
    typer.echo(_columns((row["name"], row["example"], row["summary"]) for row in rows))
    if profiles:
        typer.echo(f"\nprofiles: {', '.join(profiles)}")


@app.command()
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
    kind = _driver(name)
    options, profile = kind.config.model_json_schema(), kind.profile.model_json_schema()
    if as_json:
        shown = {"name": kind.name, "example": kind.example, "options": options, "profile": profile}
        typer.echo(json.dumps(shown, indent=2))
        return
    typer.echo(f"{kind.name}  {kind.summary}\naddress  {kind.example}\noptions of a device (site.yaml)")
    typer.echo(_columns(_keys(options, options)) or "  none")
    typer.echo("keys of a profile")
    typer.echo(_columns(_keys(profile, profile)))


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


def _driver(name: str) -> DriverType:
    try:
        return driver_type(name)
    except KeyError as error:
        raise _fail(str(error.args[0])) from None


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Profile files, or folders of them.")],
    as_json: AsJson = False,
) -> None:
    """Check profiles: every mistake at once, with its place and what would be right."""
    paths = [found for file in files for found in (sorted(file.rglob("*.yaml")) if file.is_dir() else [file])]
    if not paths:
        raise _fail(f"no file named *.yaml below {', '.join(map(str, files))}")
    problems: list[Problem] = []
    tags = 0
    for path in paths:
        try:
            document = read(path)
            named = document.data.get("tags") if isinstance(document.data, dict) else None
            tags += len(named) if isinstance(named, dict) else 0
            check_profile(document)
        except DocumentError as error:
            problems += error.problems
    if as_json:
        rows = [
            {"file": p.file, "line": p.line, "col": p.col, "path": p.path, "message": p.message}
            for p in problems
        ]
        typer.echo(json.dumps({"problems": rows, "files": len(paths), "tags": tags}, indent=2))
    else:
        if problems:
            typer.echo(str(DocumentError(problems)))
        typer.echo(f"{_count(len(problems), 'error')}, {_count(tags, 'tag')} checked")
    if problems:
        raise typer.Exit(1)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


@app.command()
def simulate(
    profile: ProfileName,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback are reachable.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    units: Annotated[int, typer.Option(min=1, max=100, help="Machines: unit ids, or a port each.")] = 1,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="silent, illegal, slow or disconnect, at a time: silent@30s+10s; several times."),
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Play recorded measurements (CSV, also .gz): a column for a tag.")
    ] = None,
    mapped: Annotated[
        list[str] | None, typer.Option("--map", help="column=tag, where they are not named alike.")
    ] = None,
    interval: Annotated[
        float, typer.Option(min=0.001, help="Seconds between rows of a recording without times.")
    ] = 0.1,
    speed: Annotated[float, typer.Option(min=0.001, max=10_000, help="How fast to play it.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the recording.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a profile on its real protocol, with plausible values that move, until Ctrl-C."""
    from drivers import simulate as simulation
    from drivers.faults import parse_spell
    from drivers.replay import MAX_BYTES, CannotReplay, read_recording, unpack

    loaded = _profile(profile)
    try:
        recording = None
        if replay is not None:
            data = unpack(simulation.read_file(replay, MAX_BYTES))
            recording = read_recording(data, loaded, dict(_pair(text) for text in mapped or []), interval)
            if recording.unused and not as_json:
                typer.echo(f"columns not played: {', '.join(recording.unused)}", err=True)
        spells = [parse_spell(text) for text in fault or []]
        script = simulation.Script(spells, recording, speed, not once)
        say = simulation.printer(as_json, typer.echo)
        asyncio.run(simulation.simulate(loaded, host, port, units, script, say))
    except CannotReplay as error:
        raise _fail(f"{replay}: {error}") from None
    except ValueError as error:
        raise _fail(str(error)) from None
    except OSError as error:
        if error.filename is not None:
            raise _fail(f"{error.filename}: {error.strerror}") from None
        raise _fail(
            f"cannot listen on {host}:{port}: {error.strerror or error} — try another --port"
        ) from None
    except KeyboardInterrupt:
        typer.echo("stopped", err=as_json)


@app.command("read")
def read_once(
    url: Annotated[str, typer.Argument(help="The machine's address, e.g. modbus://10.0.4.7:502?unit=1.")],
    profile: Annotated[str, typer.Option(help="A profile's file, or its name such as virtual/laser.")],
    option: Annotated[list[str] | None, typer.Option(help="A driver option, e.g. security=none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every tag of a machine once and say per tag what came back."""
    loaded = _profile(profile)
    options = dict(_pair(text) for text in option or [])
    try:
        driver = _driver(loaded.protocol).create(url, loaded, options)
        readings = asyncio.run(_read(driver))
    except DocumentError as error:
        wrong = "\n".join(f"--option {problem.text}" for problem in error.problems)
        raise _fail(f"{wrong}\nwhat there is: onelot driver show {loaded.protocol}") from None
    except (ValueError, DriverError) as error:
        raise _fail(str(error)) from None
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "tag": r.path,
                "value": r.value,
                "unit": loaded.tags[r.path].unit,
                "quality": r.quality.name.lower(),
                "reason": r.reason.name.lower(),
                "problem": driver.problems.get(r.path, ""),
            }
            for r in readings
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    typer.echo(_columns(_row(r, loaded, driver) for r in readings))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _fail(f'"{text}" has no equals sign — write name=value, e.g. security=none')
    return name.strip(), value


async def _read(driver: Driver[Any]) -> list[Reading]:
    async with driver:
        return await driver.read([name for name, tag in driver.profile.tags.items() if tag.readable])


def _row(reading: Reading, profile: AnyProfile, driver: Driver[Any]) -> tuple[str, str, str]:
    tag = profile.tags[reading.path]
    if reading.quality is Quality.BAD:
        return reading.path, "✕", f"{reading.reason.name.lower()}: {driver.problems.get(reading.path, '')}"
    value = reading.value
    word = (tag.enum or {}).get(value, "") if isinstance(value, int) and not isinstance(value, bool) else ""
    shown = (
        f"{value:.7g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    uncertain = "" if reading.quality is Quality.GOOD else f"uncertain: {reading.reason.name.lower()}"
    return reading.path, f"{shown} {tag.unit}".strip(), word or uncertain


app.command("import")(import_list)
app.command("new")(new_driver)
app.command("record")(record_device)
app.command("replay")(replay_recording)

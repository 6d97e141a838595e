"""``onelot driver files``: the NC programs at a machine, and whether they are the released ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from drivers.capabilities import Capability
from drivers.driver import Confirmation, Driver, DriverError
from drivers.profile.profile import AnyProfile
from drivers.program_folder import MAX_FILE
from drivers.programs import Program, Released, Standing, deliver, inspect, sha256, told_apart
from edge.commission.asking import AsJson, OptionList, Url, columns, fail, made_driver, print_json, profile_of
from edge.commission.holding import EdgeFile, refuse_if_held
from edge.commission.running import stopped, timed
from edge.programs.releases import Releases, load_releases
from protocols.documents import DocumentError

app = typer.Typer(
    help="NC programs at a machine: list, send, fetch, compare with the release list.", no_args_is_help=True
)

ProfileOption = Annotated[str, typer.Option("--profile", help="A profile's file, or its name.")]
FileName = Annotated[str, typer.Argument(help="The file's name at the machine, e.g. doors/O1000.nc.")]
T = TypeVar("T")


@app.command("list")
def list_files(url: Url, profile: ProfileOption, option: OptionList = None, as_json: AsJson = False) -> None:
    """List the files in a machine's program folder."""
    found = _with_machine(url, profile_of(profile), option, lambda driver: driver.list_files())
    if as_json:
        print_json([{"name": f.name, "size": f.size, "modified": _iso(f.modified)} for f in found])
    elif found:
        typer.echo(columns((f.name, f"{f.size} bytes", _iso(f.modified) or "–") for f in found))
    else:
        typer.echo("there are no files")


@app.command("get")
def get_file(
    url: Url,
    name: FileName,
    profile: ProfileOption,
    to: Annotated[
        Path | None, typer.Option(help="File to write, which must not be there yet; unset: its own name.")
    ] = None,
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a file from a machine."""
    target = to or Path(Path(name).name)
    if target.exists():
        raise fail(f"{target} is there already — choose another name with --to")
    try:
        content = _with_machine(url, profile_of(profile), option, lambda driver: driver.get_file(name))
    except FileNotFoundError:
        raise fail(f'the machine has no file "{name}" — see onelot driver files list') from None
    try:
        with target.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise fail(f"{target}: {error.strerror or error}") from None
    if as_json:
        about = {"name": name, "file": str(target), "size": len(content), "sha256": sha256(content)}
        print_json(about)
    else:
        typer.echo(f"{target}  {len(content)} bytes  sha256 {sha256(content)}")


@app.command("put")
def put_file(
    url: Url,
    file: Annotated[Path, typer.Argument(help="The file to send.")],
    profile: ProfileOption,
    name: Annotated[str | None, typer.Option(help="Its name at the machine; unset: as it is here.")] = None,
    actor: Annotated[
        str, typer.Option(help="Your pseudonym, where nothing shows what the machine runs.")
    ] = "",
    edge: EdgeFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Send a file to a machine, not while that program runs, and read it back."""
    loaded, content = profile_of(profile), _content(file)
    wanted = Released(name or file.name, sha256(content))
    confirmation = Confirmation(actor, "onelot driver") if actor else None
    if not loaded.has_state and confirmation is None:
        raise fail(
            "this profile has no state, so nothing shows whether the machine runs the program — look, then "
            "say so with --actor and your pseudonym"
        )

    refuse_if_held(made_driver(url, loaded, option), edge)
    (before,) = _with_machine(url, loaded, option, lambda driver: inspect(driver, [wanted]))
    before = told_apart(before, content)
    if before.standing is not Standing.RELEASED:
        if not yes:
            # No connection waits for the answer: a machine would give it up.
            typer.confirm(_question(url, before, len(content)), abort=True, err=True)
            refuse_if_held(made_driver(url, loaded, option), edge)
        seen = [before.found] if before.found else []
        blind = before.standing is Standing.UNREADABLE
        _with_machine(
            url,
            loaded,
            option,
            lambda driver: deliver(driver, wanted, content, confirmation, earlier=seen, overwrite=blind),
        )
    sent = Program(wanted, Standing.RELEASED, wanted.sha256)
    if as_json:
        print_json(_row(sent))
    else:
        typer.echo(f"{wanted.name}  {len(content)} bytes  sha256 {wanted.sha256}  read back: the same")


@app.command("verify")
def verify(
    url: Url,
    profile: ProfileOption,
    releases: Annotated[Path, typer.Option(help="The release list, e.g. programs/releases.yaml.")],
    device: Annotated[
        str, typer.Option(help="Only what names this device; unset: every program of the list.")
    ] = "",
    option: OptionList = None,
    as_json: AsJson = False,
) -> None:
    """Compare a machine's programs with the release list; exit code 1 when one is not as released."""
    try:
        listed = load_releases(releases)
    except DocumentError as error:
        raise fail(str(error)) from None
    wanted = [each.released for each in listed.entries if not device or device in each.devices]
    if not wanted:
        known = sorted({name for each in listed.entries for name in each.devices})
        raise fail(
            f'nothing is released for "{device}" there; there is for {", ".join(known) or "no device"}'
        )
    seen = _with_machine(url, profile_of(profile), option, lambda driver: inspect(driver, wanted))
    found = [_told_apart(program, listed) for program in seen]
    if as_json:
        print_json([_row(program) for program in found])
    else:
        typer.echo(columns(_verified(program, listed) for program in found))
    if any(program.standing is not Standing.RELEASED for program in found):
        raise typer.Exit(1)


def _with_machine(
    url: str, profile: AnyProfile, option: list[str] | None, do: Callable[[Driver[Any]], Awaitable[T]]
) -> T:
    """Do something over a connection of its own; raises typer.Exit with the driver's words."""
    driver = made_driver(url, profile, option)
    if Capability.FILES not in driver.capabilities:
        raise fail(
            "the profile says of no place for programs — add files: {path: FOLDER} to it, or "
            "--option program_folder=FOLDER"
        )

    async def connected() -> T:
        async with driver:
            return await do(driver)

    try:
        return asyncio.run(timed(connected(), f"{url}: working"))
    except DriverError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise stopped() from None


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise fail(f"{file}: {error.strerror or error}") from None
    if len(content) > MAX_FILE:
        raise fail(f"{file} is larger than {MAX_FILE >> 20} MiB, the most that is sent")
    return content


def _question(url: str, before: Program, size: int) -> str:
    wanted = before.released
    there = {
        Standing.MISSING: "which is not there yet",
        Standing.PARTIAL: f"in place of its first {before.size} bytes, left by a transfer that did not end",
        Standing.EDITED: f"in place of what is there (sha256 {before.found[:12]}); that is lost",
    }.get(before.standing, f"in place of what is there and cannot be read ({before.detail})")
    return f"Send {wanted.name} ({size} bytes, sha256 {wanted.sha256[:12]}) to {url}, {there}. Go on?"


def _told_apart(program: Program, listed: Releases) -> Program:
    """An edit, or what is left of a transfer that did not end."""
    if program.standing is not Standing.EDITED:
        return program
    release = next(each for each in listed.entries if each.released == program.released)
    try:
        return told_apart(program, listed.content(release))
    except (OSError, ValueError) as error:
        raise fail(f"{release.file}: {error}") from None


def _verified(program: Program, listed: Releases) -> tuple[str, str, str]:
    """A line of text: sign, name, and what is to be said of it."""
    release = next(each for each in listed.entries if each.released == program.released)
    if program.standing is Standing.RELEASED:
        return "✓", program.released.name, f"released by {release.released_by} on {release.date}"
    if program.found in release.earlier:
        return "✕", program.released.name, f"an earlier release: it holds {program.found[:12]}"
    return "✕", program.released.name, str(program)


def _row(program: Program) -> dict[str, str]:
    return {
        "name": program.released.name,
        "standing": str(program.standing),
        "released": program.released.sha256,
        "found": program.found,
        "detail": program.detail,
    }


def _iso(micros: int | None) -> str:
    if micros is None:
        return ""
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="seconds")

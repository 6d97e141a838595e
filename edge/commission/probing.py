"""``onelot driver probe``: what is at an address, which profile fits it, and what to type next."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from drivers.driver import DriverType
from drivers.profile.files import find_profiles, load_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_types
from edge.commission.asking import PROFILES, AsJson, OptionList, Url, columns, fail, pair, print_json
from edge.commission.fitting import Seen, fits
from edge.commission.probing_report import Report, called, command, device_id, shown
from edge.commission.running import finished
from protocols.documents import DocumentError

PLACEHOLDER = "acme/my-machine"


def probe(
    context: typer.Context,
    url: Url,
    option: OptionList = None,
    profiles: Annotated[
        Path | None, typer.Option(help="Folder of profiles to compare with; the product's when left out.")
    ] = None,
    scan: Annotated[bool, typer.Option("--scan", help="Modbus: ask every unit whether it is there.")] = False,
    units: Annotated[str, typer.Option(help="With --scan: whom to ask, e.g. 1-20,33.")] = "1-247",
    wait: Annotated[
        float, typer.Option(min=0.05, max=10, help="With --scan: seconds to wait for each unit.")
    ] = 0.3,
    listen: Annotated[
        float, typer.Option(min=0.5, max=600, help="VDA 5050: seconds to listen for vehicles.")
    ] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Look at an address: is it there, what is it, which profile fits, and what to type next.

    It reads and listens only. An OPC UA server is logged in to when its certificate is trusted, or with
    --option security=none.
    """
    options = dict(pair(text) for text in option or [])
    kind = kind_of(url)
    if scan:
        _scan(url, kind, units, wait, as_json=as_json)
        return
    library = library_of(profiles or PROFILES, kind)
    try:
        report = finished(looked(kind, url, options, library, listen), f"{url}: looking")
    except DocumentError as error:
        wrong = "\n".join(f"--option {problem.text}" for problem in error.problems)
        raise fail(f"{wrong}\nwhat there is: onelot driver show {kind.name}") from None
    except ValueError as error:
        raise fail(str(error)) from None
    if report.logged_in and "browse" in getattr(context.parent and context.parent.command, "commands", ()):
        report.next.append(command("browse", url, *_flags(options, report)))
    if as_json:
        print_json(report.plain())
    else:
        typer.echo(report.page())


def kind_of(url: str) -> DriverType:
    """The driver that an address is for; raises typer.Exit showing what addresses look like."""
    scheme = urlsplit(url).scheme
    kinds = {name: kind for name, kind in driver_types().items() if name in ("modbus", "opcua", "vda5050")}
    for kind in kinds.values():
        if scheme in kind.schemes:
            return kind
    examples = ", ".join(kind.example for kind in kinds.values())
    raise fail(f'"{url}" cannot be probed — write {examples}')


def library_of(folder: Path, kind: DriverType) -> dict[str, AnyProfile]:
    """The profiles of a protocol; one that is wrong is said and left out."""
    found = {}
    for name, path in find_profiles(folder).items():
        try:
            profile = load_profile(path)
        except DocumentError as error:
            typer.echo(f"not compared with {name}: {error.problems[0].text}", err=True)
            continue
        if profile.protocol == kind.name:
            found[name] = profile
    return found


async def looked(
    kind: DriverType,
    url: str,
    options: Mapping[str, Any],
    library: Mapping[str, AnyProfile],
    listen: float,
) -> Report:
    """What is at an address, and which profiles of a library fit it, the best first.

    Raises:
        DriverError, OSError: nothing answers.
        DocumentError: an option is wrong.
        ValueError: no address of this protocol.
    """
    seen: list[Seen]
    if kind.name == "modbus":
        from edge.commission import probing_modbus

        report, seen = await probing_modbus.look(url, options, library)
    elif kind.name == "opcua":
        from edge.commission import probing_opcua

        kind.warm_up()  # importing is not the server's delay
        report, seen = await probing_opcua.look(url, options, library)
    else:
        from edge.commission import probing_vda5050

        progress = _progress("heard")
        report, seen = await probing_vda5050.look(url, options, library, listen, progress)
        progress("")
    report.fits = fits(seen)
    _suggest(report, url, options, library)
    return report


def _suggest(report: Report, url: str, options: Mapping[str, Any], library: Mapping[str, AnyProfile]) -> None:
    """The device's entry for the site file, and the next commands."""
    if not report.logged_in:
        return
    who = report.who
    best = next((fit.name for fit in report.fits if not fit.outside), "")
    title = called(who.vendor, who.product)
    if report.address:
        title = f"AGV {who.serial}".strip()
    elif not title and best:
        title = called(library[best].vendor, library[best].model)
    address = report.address or url
    hidden = ("password", "pki")
    kept = {key: value for key, value in (report.options or options).items() if key not in hidden}
    report.device = {
        "id": device_id(title),
        "asset": str(uuid.uuid4()),
        **({"serial": shown(who.serial)} if who.serial else {}),
        "title": shown(title)[:60] or "My machine",
        "profile": best or PLACEHOLDER,
        "url": address,
        "workcells": [],
        **({"options": kept} if kept else {}),
    }
    if best:
        for name in ("read", "add"):
            report.next.append(command(name, address, "--profile", best, *_flags(options, report)))
    else:
        report.remarks.append(
            f"{PLACEHOLDER} is a profile yet to be written: onelot driver show {report.protocol}"
        )


def _flags(options: Mapping[str, Any], report: Report) -> list[str]:
    """The options again, as they are typed; a password is left to whoever types it."""
    given = {**options, **report.options}
    return [
        word
        for name, value in given.items()
        for word in ("--option", f"{name}={'…' if name == 'password' else value}")
    ]


# --- a scan ---------------------------------------------------------------------------------------------


def _scan(url: str, kind: DriverType, units: str, wait: float, *, as_json: bool) -> None:
    from edge.commission.probing_modbus import bus_of, pause_of, unit_url, units_of

    if kind.name != "modbus":
        raise fail(f"--scan asks Modbus units; {url} is {kind.name}")
    try:
        bus, wanted = bus_of(url), units_of(units)
    except ValueError as error:
        raise fail(str(error)) from None
    from drivers.modbus.scan import Unit, scan

    pause = pause_of(bus)
    longest = len(wanted) * (wait + pause)
    typer.echo(
        f"asking {len(wanted)} units on {bus}, {longest:.0f} s if none answers. "
        "This disturbs whoever else uses the bus; Ctrl-C ends it",
        err=True,
    )
    found: list[Unit] = []
    asked: list[int] = []
    progress = _progress("unit")

    def told(unit: int, answer: Unit | None) -> None:
        asked.append(unit)
        if answer is not None:
            found.append(answer)
        progress(f"{unit} · {len(asked)} of {len(wanted)} asked · {len(found)} answered")

    trouble: typer.Exit | None = None
    try:
        finished(scan(bus, wanted, wait, pause, told))
    except typer.Exit as ended:  # what was found before Ctrl-C or a broken connection is worth showing
        trouble = ended
    progress("")
    rows = [
        {"unit": u.unit, "latency_ms": round(u.seconds * 1000, 1), "answer": u.answer}
        | {"vendor": u.who.vendor, "product": u.who.product, "firmware": u.who.firmware}
        | {"url": unit_url(url, u.unit)}
        for u in found
    ]
    if as_json:
        print_json({"bus": str(bus), "asked": len(asked), "complete": trouble is None, "units": rows})
    else:
        table = columns(
            (
                f"  unit {u.unit}",
                f"{u.seconds * 1000:.0f} ms",
                shown(" ".join(w for w in (u.who.vendor, u.who.product, u.who.firmware) if w) or "-"),
                u.answer,
            )
            for u in found
        )
        typer.echo(
            "\n".join(part for part in (table, f"{len(found)} of {len(asked)} units answered") if part)
        )
        if found:
            typer.echo(f"  next  {command('probe', unit_url(url, found[0].unit))}")
    if trouble is not None:
        raise trouble


def _progress(label: str) -> Callable[[str], None]:
    """Tells on a terminal how far long work has come, in one line that "" takes away; nothing elsewhere."""

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r\x1b[K{f'  {label} {shown(text)}' if text else ''}", nl=False, err=True)

    return tell

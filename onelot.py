"""The front door: the ``onelot`` command. It mounts the sub-commands and does nothing else.

A sub-command is a row of ``COMMANDS``. Its module is imported when the sub-command runs, not before:
``onelot --help`` must answer at once (OR-tools alone takes 0.9 s to import) and must work where only one of
the extras is installed.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

TRY = "Try it without hardware"
SITE = "On a site"
MACHINES = "Connect a machine"
PLAN = "Plan work"
PREDICT = "Predict failures"
PARTS = "Parts of the demo, one by one"


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a sub-command lives (``module:attribute``), the extra that brings its libraries, its help."""

    target: str
    extra: str
    panel: str
    help: str


COMMANDS = {
    "demo": Mount("cloud.demo.launcher:command", "demo", TRY, "Run factory, edges, cloud and page together."),
    "up": Mount(
        "cloud.trial.launcher:command", "demo", TRY, "Try what a folder describes, on this computer."
    ),
    "cloud": Mount("cloud.main:command", "cloud", SITE, "Run the cloud service."),
    "edge": Mount("edge.main:command", "edge", SITE, "Run the agent of a workstation PC."),
    "accounts": Mount("cloud.account_command:app", "cloud", SITE, "Say who may log in to the service."),
    "terminal": Mount("edge.terminal.main:command", "edge", SITE, "Open the operator's terminal."),
    "broker": Mount("cloud.broker:command", "cloud", SITE, "Run the embedded MQTT broker (small trials)."),
    "driver": Mount("edge.commission.main:app", "edge", MACHINES, "List, check and simulate devices."),
    "dispatch": Mount("cloud.dispatching.command.main:app", "cloud", PLAN, "Plan and check problem files."),
    "quality": Mount(
        "cloud.quality.command.main:app", "cloud", PLAN, "Control charts and capability of files."
    ),
    "maintenance": Mount(
        "cloud.maintenance.command.main:app", "cloud", PREDICT, "Train, score and explain models on files."
    ),
    "factory": Mount("drivers.virtual.main:command", "edge", PARTS, "Run the virtual factory."),
    "operators": Mount("edge.operators:command", "edge", PARTS, "Run operators who work by themselves."),
}

PACKAGES = {"protocols", "drivers", "edge", "cloud"}


class MissingExtra(typer.TyperException):
    """A library of an extra is not installed; says which extra to install. Exit code 2."""

    def __init__(self, command: str, library: str) -> None:
        extra = COMMANDS[command].extra
        super().__init__(
            f"`onelot {command}` needs the library {library}, which is not installed here.\n"
            f"Install the extra it belongs to: pip install 'onelot[{extra}]'"
        )


def load(name: str) -> Any:
    """The command behind a row of ``COMMANDS``; MissingExtra where a library of its extra is missing."""
    mount = COMMANDS[name]
    module, attribute = mount.target.split(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        library = _library(error)
        if library is None:
            raise
        raise MissingExtra(name, library) from error
    if isinstance(found, typer.Typer):
        return get_group(found)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, help=None if found.__doc__ else mount.help)(found)
    return get_command(single)


def _library(error: ModuleNotFoundError) -> str | None:
    """The top-level library an import failed for; None where it is a module of our own, which is a bug."""
    root = (error.name or "").partition(".")[0]
    return root if root and root not in PACKAGES else None


class Door(TyperGroup):
    """Lists the rows as they stand in the table, by panel; imports the one that is called."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the help's list of sub-commands. Plain text: rich would double the time of ``--help``."""
        for panel in dict.fromkeys(mount.panel for mount in COMMANDS.values()):
            with formatter.section(panel):
                formatter.write_dl([(name, m.help) for name, m in COMMANDS.items() if m.panel == panel])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Swap the listed stand-in for the command itself."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stand_in, rest


app = typer.Typer(
    name="onelot",
    cls=Door,
    help="Edge-to-cloud manufacturing execution gateway for small batches of customised products.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"onelot {version('onelot')}")
    except PackageNotFoundError:
        print("onelot, not installed (run from its source folder)")
    raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
]


@app.callback()
def _options(version: Version = False) -> None:
    """Options of ``onelot`` itself."""


def _stand_in(name: str) -> Callable[[], None]:
    def listed() -> None:
        raise AssertionError(f"{name} was called without being loaded")

    return listed


for _name, _mount in COMMANDS.items():
    app.command(_name, help=_mount.help)(_stand_in(_name))


def main() -> None:
    """Entry point of the console script."""
    try:
        app(prog_name="onelot")
    except MissingExtra as error:
        _refuse(error)
    except ModuleNotFoundError as error:  # imported late, while the command was already running
        library, name = _library(error), next((word for word in sys.argv[1:] if word in COMMANDS), None)
        if library is None or name is None:
            raise
        _refuse(MissingExtra(name, library))


def _refuse(error: MissingExtra) -> None:
    print(error, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()

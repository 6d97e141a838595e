"""``onelot maintenance models …``: the models of a running service, over its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud.calling import LOGIN, SERVER, Login, Server, answer, service
from cloud.maintenance.command.asking import ModelPath, read_bytes
from cloud.printing import AsJson, columns, fail, print_json

app = typer.Typer(
    help="Bring models of remaining life into a running service, try, use and go back from them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Argument(help="Id of a model, or the first of its characters.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the journal.")]
SHOWN_ID = 8
"""Characters of an id that the list shows."""


@app.command("list")
def list_models(server: Server = SERVER, login: Login = LOGIN, as_json: AsJson = False) -> None:
    """Show every model: what it is for, its state, its validation, which edges have it, and how it fares."""
    with service(server, login) as http:
        found = answer(http.get("/maintenance/models"))
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no models: bring one in with `onelot maintenance models add`")
        return
    head = ("id", "model", "for", "state", "error", "at edges", "says")
    typer.echo(columns([head, *(_cells(sheet) for sheet in found)]))


@app.command("add")
def add_model(
    model: ModelPath,
    scope: Annotated[str, typer.Option("--for", help="A profile (all its machines), or one machine.")],
    server: Server = SERVER,
    login: Login = LOGIN,
    as_json: AsJson = False,
) -> None:
    """Bring in a model file. It is a candidate then: nothing is scored with it yet."""
    content = read_bytes(model)
    with service(server, login) as http:
        head = {"Content-Type": "application/json"}
        made = answer(
            http.post("/maintenance/models", params={"scope": scope}, content=content, headers=head)
        )
    _said(made, as_json)


@app.command("shadow")
def shadow_model(
    model: Model, reason: Reason = "", server: Server = SERVER, login: Login = LOGIN, as_json: AsJson = False
) -> None:
    """Have a model score beside the one in use."""
    _step(model, "shadow", reason, server, login, as_json)


@app.command("activate")
def activate_model(
    model: Model, reason: Reason = "", server: Server = SERVER, login: Login = LOGIN, as_json: AsJson = False
) -> None:
    """Use a model. Before 100 scores in shadow a reason is needed."""
    _step(model, "activate", reason, server, login, as_json)


@app.command("retire")
def retire_model(
    model: Model, reason: Reason, server: Server = SERVER, login: Login = LOGIN, as_json: AsJson = False
) -> None:
    """Take a model out of use."""
    _step(model, "retire", reason, server, login, as_json)


@app.command("roll-back")
def roll_back(
    model: Model, reason: Reason, server: Server = SERVER, login: Login = LOGIN, as_json: AsJson = False
) -> None:
    """Go back from the model in use to the one that was in use before."""
    _step(model, "roll-back", reason, server, login, as_json)


def _step(model: str, act: str, reason: str, server: str, login: Path, as_json: bool) -> None:
    with service(server, login) as http:
        found = [one["version"] for one in answer(http.get("/maintenance/models"))]
        named = [one for one in found if one["id"].startswith(model)]
        if len(named) != 1:
            known = ", ".join(one["id"][:SHOWN_ID] for one in found) or "none"
            raise fail(f'"{model}" names {len(named) or "no"} models: there are {known}')
        done = answer(http.post(f"/maintenance/models/{named[0]['id']}/{act}", json={"reason": reason}))
    _said(done, as_json)


def _said(version: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(version)
    else:
        typer.echo(f"{version['id']} ({version['summary']['name']}) is {version['state']}")


def _cells(sheet: Mapping[str, Any]) -> tuple[str, ...]:
    version = sheet["version"]
    told = version["summary"]
    error = f"{told['validation']['rmse_capped']:.1f} {told['unit']}"
    found = [one["holding"] for one in sheet["edges"]]
    used = [f"{one['edge']}: {one['device']}" for one in found if one["sha256"] == version["sha256"]]
    refused = [
        f"{one['edge']}: {one['device']} refused" for one in found if one["refused"] == version["sha256"]
    ]
    return (
        version["id"][:SHOWN_ID],
        told["name"],
        _few(sheet["machines"]),
        version["state"],
        error,
        _few([*refused, *used]) or "–",
        sheet["says"],
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")

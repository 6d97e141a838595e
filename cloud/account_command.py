"""``onelot accounts …``: who may log in to a running service, over its API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cloud.api.roles import Role
from cloud.calling import LOGIN, SERVER, Login, Server, answer, service
from protocols.values import MICROSECONDS

app = typer.Typer(
    help="Make, change and remove the accounts of a running service.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Small letters, digits, dot, dash, underscore.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What the account may do.")]


@app.command("list")
def list_accounts(server: Server = SERVER, login: Login = LOGIN) -> None:
    """Show every account with its role."""
    with service(server, login) as http:
        found = answer(http.get("/accounts"))
    widest = max(len(one["name"]) for one in found)
    for one in found:
        made = datetime.fromtimestamp(one["created"] / MICROSECONDS, UTC).astimezone()
        typer.echo(f"{one['name']:<{widest}}  {one['role']:<10}  since {made:%Y-%m-%d}")


@app.command("add")
def add_account(name: Name, role: RoleOption, server: Server = SERVER, login: Login = LOGIN) -> None:
    """Make an account. Its password is shown this once, in the form of a log-in file."""
    with service(server, login) as http:
        _show(answer(http.post("/accounts", json={"name": name, "role": role})))


@app.command("password")
def renew_password(name: Name, server: Server = SERVER, login: Login = LOGIN) -> None:
    """Give an account another password, as its own is lost. It is shown this once; all sessions end."""
    with service(server, login) as http:
        _show(answer(http.post(f"/accounts/{name}/password")))


@app.command("role")
def change_role(name: Name, role: RoleOption, server: Server = SERVER, login: Login = LOGIN) -> None:
    """Let an account do more or less. All its sessions end."""
    with service(server, login) as http:
        answer(http.put(f"/accounts/{name}/role", json={"role": role}))
    typer.echo(f"{name} is {role} now")


@app.command("remove")
def remove_account(name: Name, server: Server = SERVER, login: Login = LOGIN) -> None:
    """Remove an account. What it did stays under its name."""
    with service(server, login) as http:
        answer(http.delete(f"/accounts/{name}"))
    typer.echo(f"{name} is removed")


def _show(credential: dict[str, Any]) -> None:
    typer.echo(f"user: {credential['user']}\npassword: {credential['password']}")

"""Who may log in, and as what: accounts are made, changed and removed by supervisors."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from cloud.api.accounts import Account, AccountName
from cloud.api.answers import Reply, answers
from cloud.api.roles import Role
from cloud.api.security import Gate, Supervisor

router = APIRouter(tags=["session"], prefix="/accounts")
Name = Annotated[str, Path(max_length=32)]


class NewAccount(BaseModel):
    """A name of small letters, digits, dot, dash and underscore, better a pseudonym; and what it may do."""

    model_config = ConfigDict(extra="forbid")

    name: AccountName
    role: Role


class OtherRole(BaseModel):
    """What an account may do from now on."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class Credential(msgspec.Struct, frozen=True):
    """What somebody logs in with; the password is told this once."""

    user: str
    password: str


@router.get("", responses=answers(list[Account]))
async def every_account(accounts: Gate, _: Supervisor) -> Reply:
    """Every account, by name."""
    return Reply(await accounts.accounts())


@router.post("", responses=answers(Credential))
async def add_account(accounts: Gate, session: Supervisor, new: NewAccount) -> Reply:
    """Make an account. Its password is made here, by chance; whoever gets it changes it."""
    return Reply(Credential(new.name, await accounts.add(new.name, new.role, session.user)))


@router.post("/{name}/password", responses=answers(Credential))
async def renew_password(accounts: Gate, session: Supervisor, name: Name) -> Reply:
    """Give an account a new password, as its own is lost. All its sessions end."""
    return Reply(Credential(name, await accounts.renew_password(name, session.user)))


@router.put("/{name}/role", status_code=204, responses=answers(None, status=204))
async def change_role(accounts: Gate, session: Supervisor, name: Name, said: OtherRole) -> None:
    """Let an account do more or less. All its sessions end."""
    await accounts.change_role(name, said.role, session.user)


@router.delete("/{name}", status_code=204, responses=answers(None, status=204))
async def remove_account(accounts: Gate, session: Supervisor, name: Name) -> None:
    """Remove an account. All its sessions end; what it did stays under its name."""
    await accounts.remove(name, session.user)

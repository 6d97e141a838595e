"""Logging in, and changing the password of the first start."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from cloud.api.accounts import LEAST_PASSWORD, MOST_PASSWORD, AccountName
from cloud.api.answers import Reply, answers
from cloud.api.roles import Role
from cloud.api.security import Gate, Viewer

router = APIRouter(tags=["session"])


class Login(BaseModel):
    """User name and password."""

    model_config = ConfigDict(extra="forbid")

    user: AccountName
    password: Annotated[str, StringConstraints(max_length=MOST_PASSWORD)]


class NewPassword(BaseModel):
    """The old password again and the new one."""

    model_config = ConfigDict(extra="forbid")

    old: Annotated[str, StringConstraints(max_length=MOST_PASSWORD)]
    new: Annotated[str, StringConstraints(min_length=LEAST_PASSWORD, max_length=MOST_PASSWORD)]


class LoggedIn(msgspec.Struct, frozen=True):
    """The token to send as ``Authorization: Bearer``; ``expires`` in seconds since 1970."""

    token: str
    user: str
    role: Role
    expires: int


@router.post("/session", responses=answers(LoggedIn))
async def log_in(login: Login, accounts: Gate) -> Reply:
    """Get a token. The first start left the first account's password in ``first-login.txt``."""
    token, session = await accounts.login(login.user, login.password)
    return Reply(LoggedIn(token, session.user, session.role, session.expires))


@router.put("/session/password", status_code=204, responses=answers(None, status=204))
async def change_password(change: NewPassword, session: Viewer, accounts: Gate) -> None:
    """Give the account that is logged in another password. All its tokens end, this one too: log in anew."""
    await accounts.login(session.user, change.old)
    await accounts.change_password(session.user, change.new)


@router.delete("/session", status_code=204, responses=answers(None, status=204))
async def log_out(session: Viewer, accounts: Gate) -> None:
    """End the session: its token counts no more."""
    accounts.end(session)

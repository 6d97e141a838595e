"""Who asks: a bearer token on every route but the log-in and the health."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloud.api.accounts import Accounts, Session
from cloud.api.roles import Role
from cloud.context import Context

_bearer = HTTPBearer(auto_error=False, description="token of POST /api/v1/session")


def context_of(request: Request) -> Context:
    """The context that the app was created with."""
    context: Context = request.app.state.context
    return context


def accounts_of(request: Request) -> Accounts:
    """The accounts of the app."""
    accounts: Accounts = request.app.state.accounts
    return accounts


In = Annotated[Context, Depends(context_of)]
Gate = Annotated[Accounts, Depends(accounts_of)]


def viewer(
    accounts: Gate, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Session:
    """Any valid session; 401 otherwise."""
    session = accounts.session(credentials.credentials) if credentials is not None else None
    if session is None:
        raise HTTPException(
            401, "no valid token: POST user and password to /api/v1/session", {"WWW-Authenticate": "Bearer"}
        )
    return session


def operator(session: Annotated[Session, Depends(viewer)]) -> Session:
    """A session that may say when a machine is to be maintained; 403 otherwise."""
    if session.role not in (Role.OPERATOR, Role.SUPERVISOR):
        raise HTTPException(403, f"{session.user} may look but not change anything: ask an operator")
    return session


def supervisor(session: Annotated[Session, Depends(viewer)]) -> Session:
    """A session that may change things; 403 otherwise."""
    if session.role is not Role.SUPERVISOR:
        raise HTTPException(403, f"{session.user} may look but not change anything: ask a supervisor")
    return session


Viewer = Annotated[Session, Depends(viewer)]
Operator = Annotated[Session, Depends(operator)]
Supervisor = Annotated[Session, Depends(supervisor)]

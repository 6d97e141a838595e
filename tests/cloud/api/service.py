"""A service with everything but the network: the demo site, a real database, the app called directly."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from cloud.api.accounts import Accounts
from cloud.api.app import create_app
from cloud.api.roles import Role
from cloud.bootstrap import Service
from cloud.config import CloudConfig
from cloud.context import Context

SITE = Path(__file__).parents[3] / "firmware_configs/sites/demo/site.yaml"


@dataclass(frozen=True, slots=True)
class Door:
    """The app with its context, and clients of it."""

    app: FastAPI
    context: Context
    accounts: Accounts

    def client(self, role: Role | None = Role.SUPERVISOR) -> httpx.AsyncClient:
        """A client that is logged in as ``role``; None: not logged in."""
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.accounts.token('somebody', role)[0]}"
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://onelot.test", headers=headers
        )


@contextlib.asynccontextmanager
async def opened(folder: Path, **maintenance: Any) -> AsyncIterator[Door]:
    """The door of a service whose data lie in ``folder``, with settings of the maintenance."""
    service = Service(CloudConfig(site=SITE, data=folder / "data", maintenance=maintenance))
    with service.opened() as context:
        accounts = Accounts(context.database, context.config.data, context.clock)
        yield Door(create_app(context, accounts), context, accounts)

"""Keeps the bounds of planned maintenance up with what is known of the remaining life."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.hub import CaseChanged, Hub
from cloud.maintenance.desk import CaseDesk
from cloud.store.database import Database

_log = structlog.get_logger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks."""


async def keep_bounds(database: Database, hub: Hub, desk: CaseDesk) -> None:
    """Look again and again until cancelled; whoever shows or plans a case hears of its new bound."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            for case in await database.run(desk.foresee_again):
                _log.info("case.foreseen_again", case=case)
                hub.publish(CaseChanged(case))
        except SQLAlchemyError as error:  # the next look will do
            _log.warning("case.bounds_not_kept", error=str(error).splitlines()[0])

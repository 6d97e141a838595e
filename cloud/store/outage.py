"""A database that is away for a while, as a service goes through it that has more to do than to write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.store.database import DatabaseClosedError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outage:
    """What the database refuses is said in the log once when it goes and once when it is back, as events of
    the ``service``. Whoever asked tries again later.
    """

    service: str
    away: bool = field(default=False, init=False)
    """Whether the last try failed."""

    @contextlib.contextmanager
    def survived(self) -> Iterator[None]:
        """Around one try. What stands in it goes no further where the database refuses; other errors pass."""
        try:
            yield
        except (SQLAlchemyError, DatabaseClosedError) as error:
            if not self.away:
                log.warning(f"{self.service}.database_away", error=str(error).splitlines()[0])
            self.away = True
        else:
            if self.away:
                log.info(f"{self.service}.database_back")
            self.away = False

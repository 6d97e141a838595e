"""The office of the demo: suspicions become maintenance orders there, and findings become verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from cloud.maintenance.case import Verdict
from cloud.maintenance.cases import SENSOR
from protocols.lifecycles import CaseState

PATIENCE = 3.0
"""Seconds for which a suspicion and a finding stand on the page before the office acts."""


class Api(Protocol):
    """Calls of ``/api/v1``; raises httpx.HTTPError."""

    def api(self, method: str, path: str, **arguments: Any) -> Any: ...


@dataclass(slots=True)
class Office:
    """Whoever looks after the cases of wear. What somebody at the page decided sooner is left alone."""

    probe: Api
    _seen: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    """Since when a case is in a state."""

    def look(self, now: float) -> None:
        """Act on what is due at ``now`` (s of any even clock); raises httpx.HTTPError for a service away."""
        for case in self.probe.api("GET", "/maintenance/cases", params={"open_only": True}):
            if case["mode"] == SENSOR:
                continue
            since = self._seen.setdefault((case["id"], case["state"]), now)
            if now - since < PATIENCE:
                continue
            path = f"/maintenance/cases/{case['id']}"
            if case["state"] == CaseState.OPEN:
                self._ask(f"{path}/acknowledge", {})
            elif case["state"] == CaseState.ACKNOWLEDGED:
                self._ask(f"{path}/plan", {})
            elif case["state"] == CaseState.DONE:
                verdict = Verdict.FALSE_ALARM if case["found"].startswith("no wear") else Verdict.TRUE
                self._ask(f"{path}/verdict", {"verdict": str(verdict), "cause": "", "found": case["found"]})

    def _ask(self, path: str, body: dict[str, str]) -> None:
        try:
            self.probe.api("POST", path, json=body)
        except httpx.HTTPStatusError as error:
            # Somebody at the page, or the floor, was quicker: the next look sees what is so now.
            if error.response.status_code not in (httpx.codes.CONFLICT, httpx.codes.UNPROCESSABLE_ENTITY):
                raise

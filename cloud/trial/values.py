"""What a trial shows once it runs: each machine's first values, or why there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cloud.api.accounts import FIRST_LOGIN_FILE
from cloud.trial.plan import Plan

VALUE_SECONDS = 30.0
"""How long the first value of a machine is waited for; the trial goes on without."""
REFUSED_SECONDS = 6.0
"""A machine that cannot be reached so long is told, and no longer waited for."""
OTHERS_SECONDS = 3.0
"""How long after a machine's first value its others are waited for."""
SHOWN = 8
"""Values, and tags without one, of each device that are shown."""


@dataclass(slots=True)
class Seen:
    """What edge and page say of one machine. ``values``: rows of the page's API, newest value each."""

    device: str
    connected: bool = False
    detail: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)
    values: Sequence[Mapping[str, Any]] = ()

    def lines(self) -> list[str]:
        """For people: what there is, first, then what is missing and why."""
        good = [row for row in self.values if row["value"] is not None]
        if good:
            head = f"{self.device}  {len(good)} of {len(self.values)} tags have a value"
        elif not self.connected:
            head = f"{self.device}  ✕ not connected: {self.detail or 'no answer yet'}"
        else:
            head = f"{self.device}  ✕ connected, but no value has come yet"
        rows = [(_tag(self.device, row), _value(row), str(row["unit"])) for row in good[:SHOWN]]
        width = max((len(name) for name, _, _ in rows), default=0)
        lines = [head, *(f"  {name:<{width}}  {value} {unit}".rstrip() for name, value, unit in rows)]
        if len(good) > SHOWN:
            lines.append(f"  … {len(good) - SHOWN} more on the page")
        if self.connected:
            lines += [f"  ✕ {tag}: {why}" for tag, why in list(self.problems.items())[:SHOWN]]
        return lines


def login(plan: Plan) -> tuple[str, str] | None:
    """User and password of the first start; None where that file is gone."""
    try:
        text = (plan.cloud_data / FIRST_LOGIN_FILE).read_text("utf-8")
    except OSError:
        return None
    words = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    return (words["user"], words["password"]) if {"user", "password"} <= words.keys() else None


def first_values(plan: Plan, alive: Callable[[], None]) -> tuple[list[Seen], str]:
    """Wait until each machine has a value on the page, or cannot be reached, or the patience is over.

    ``alive`` raises when a part has ended. The machines, and why the page's values cannot be had (or empty).
    """
    begin = time.monotonic()
    came: dict[str, float] = {}
    with httpx.Client(trust_env=False, timeout=5) as http:
        page = _Page(plan, http)
        while True:
            alive()
            seen = [page.with_values(each) for each in _devices(plan, http)]
            waited = time.monotonic() - begin
            for each in seen:
                if any(row["value"] is not None for row in each.values):
                    came.setdefault(each.device, waited)
            settled = all(_settled(each, waited, came.get(each.device)) for each in seen)
            if page.closed or (settled and len(seen) == len(plan.devices)) or waited > VALUE_SECONDS:
                return seen, page.closed
            time.sleep(0.25)


def _settled(seen: Seen, waited: float, came: float | None) -> bool:
    """Whether waiting longer would show nothing new of a machine; ``came`` is when its first value did."""
    if came is not None:
        return waited - came > OTHERS_SECONDS or all(row["value"] is not None for row in seen.values)
    return waited > REFUSED_SECONDS and not seen.connected and bool(seen.detail)


@dataclass(slots=True)
class _Page:
    """The page's API. ``closed`` says why it lets nobody in."""

    plan: Plan
    http: httpx.Client
    closed: str = ""
    _token: str = ""

    def with_values(self, seen: Seen) -> Seen:
        """A machine with what the page has of it; as it was, where the page does not answer just now."""
        try:
            if not self._token and not self._log_in():
                return seen
            answer = self.http.get(
                f"{self.plan.page.url}/api/v1/tags",
                params={"device": seen.device},
                headers={"Authorization": f"Bearer {self._token}"},
            )
            if answer.is_success:
                seen.values = answer.json()
        except httpx.HTTPError:
            pass  # the next round asks again, until the patience is over
        return seen

    def _log_in(self) -> bool:
        known = login(self.plan)
        if known is None:
            self.closed = (
                f"{self.plan.cloud_data / FIRST_LOGIN_FILE} is gone: log in to the page for the values"
            )
            return False
        user, password = known
        answer = self.http.post(
            f"{self.plan.page.url}/api/v1/session", json={"user": user, "password": password}
        )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self.closed = "the first password was changed: log in to the page for the values"
        if answer.is_success:
            self._token = answer.json()["token"]
        return answer.is_success


def _devices(plan: Plan, http: httpx.Client) -> list[Seen]:
    try:
        rows = http.get(f"{plan.api.url}/health").json()["devices"]
    except (httpx.HTTPError, ValueError, KeyError):
        return [Seen(device) for device in plan.devices]
    return [Seen(row["id"], row["connected"], row["detail"], row["problems"]) for row in rows]


def _tag(device: str, row: Mapping[str, Any]) -> str:
    return str(row["path"]).removeprefix(f"{device}/")


def _value(row: Mapping[str, Any]) -> str:
    value = row["value"]
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def shown_path(path: Path) -> str:
    """The path as seen from here, where that is shorter."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

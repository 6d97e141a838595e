"""What the demo asks its running parts: the health of edges and cloud, and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cloud.api.accounts import FIRST_LOGIN_FILE
from cloud.demo.layout import Layout


@dataclass(frozen=True, slots=True)
class Moment:
    """All figures of one moment; None stands for a part that did not answer."""

    edges: Mapping[str, dict[str, Any] | None]
    cloud: dict[str, Any] | None


@dataclass(slots=True)
class Probe:
    """A client of all parts. ``credential`` is the file the cloud writes at its first start."""

    layout: Layout
    _http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=5.0), init=False)
    _token: str = field(default="", init=False)

    def close(self) -> None:
        self._http.close()

    def moment(self) -> Moment:
        """Ask everyone now."""
        edges = {edge: self._health(self.layout.edge_api(edge)) for edge in self.layout.edges}
        return Moment(edges, self._health(self.layout.page))

    def credential(self) -> tuple[str, str]:
        """User name and password that the cloud made at its first start."""
        lines = dict(
            line.split(": ", 1)
            for line in self._credential_file().read_text("utf-8").splitlines()
            if ": " in line
        )
        return lines["user"], lines["password"]

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call ``/api/v1`` as the user of the first start; raises httpx.HTTPStatusError."""
        if not self._token:
            user, password = self.credential()
            answer = self._http.post(
                f"{self.layout.page}/api/v1/session", json={"user": user, "password": password}
            )
            answer.raise_for_status()
            self._token = answer.json()["token"]
        answer = self._http.request(
            method,
            f"{self.layout.page}/api/v1{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            **arguments,
        )
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = ""
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def answers(self, url: str) -> bool:
        """Whether ``/health`` answers there."""
        return self._health(url) is not None

    def _credential_file(self) -> Path:
        return self.layout.cloud_data / FIRST_LOGIN_FILE

    def _health(self, url: str) -> dict[str, Any] | None:
        try:
            answer = self._http.get(f"{url}/health")
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        return found

"""The demo's spindle wears on its real protocol: suspected, planned in time, mended, judged, learned anew.

Everything runs as ``onelot demo`` starts it: OPC UA, MQTT, three edges, the service, and people who work by
themselves. What is asked is asked of the API, as the page would.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.demo.launcher import SPINDLE
from tests.system.processes import quiet_port
from tests.system.test_demo import demo

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
# A bearing lasts some hours of the shop's work: four minutes on a machine that is otherwise idle, much longer
# on a busy one. So the wait for its mending ends when the machine fails, and by no clock.


@dataclass(slots=True)
class Page:
    """The service's API, as the supervisor of the first start."""

    http: httpx.Client

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    def spindle_cases(self) -> list[dict[str, Any]]:
        """Cases of the spindle's wear, the first one first."""
        found = [c for c in self.get("/maintenance/cases") if c["device"] == SPINDLE and c["mode"] == "wear"]
        return sorted(found, key=lambda case: case["opened"])

    def failures(self) -> list[int]:
        """When the spindle's machine went out of service (µs UTC)."""
        states = self.get(f"/machines/{SPINDLE}/states")
        return [state["ts"] for state in states if state["item_state"] == "out_of_service"]


@contextmanager
def signed_in(data: Path, port: int, process: subprocess.Popen[bytes]) -> Iterator[Page]:
    """Once the service has made its first user and answers."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {_token(http, data, process)}"
        yield Page(http)


def _token(http: httpx.Client, data: Path, process: subprocess.Popen[bytes]) -> str:
    while process.poll() is None:
        for file in data.glob("*/cloud/first-login.txt"):
            words = dict(line.split(": ", 1) for line in file.read_text("utf-8").splitlines() if ": " in line)
            with suppress(httpx.TransportError, KeyError):
                login = {"user": words["user"], "password": words["password"]}
                answer = http.post("/session", json=login)
                answer.raise_for_status()
                return str(answer.json()["token"])
        time.sleep(0.5)
    raise AssertionError(f"the demo ended with {process.returncode} before {http.base_url} answered")


def test_the_spindle_of_the_demo_is_mended_before_it_fails(tmp_path: Path) -> None:
    port = quiet_port()
    with (
        demo(tmp_path, "--port", str(port)) as (process, output),
        signed_in(tmp_path / "data", port, process) as page,
    ):
        windows: list[dict[str, Any]] = []
        bounds: list[int] = []
        case: dict[str, Any] = {}
        told: dict[str, Any] | None = None
        while case.get("state") != "closed":
            assert process.poll() is None, output.read_text("utf-8", errors="replace")[-2000:]
            assert case.get("ended") or not page.failures(), f"it failed before it was mended: {case}"
            for case in page.spindle_cases()[:1]:
                sheet = page.get(f"/maintenance/cases/{case['id']}")
                told = told or sheet["life"]
                if case["state"] == "planned":
                    services = page.get("/schedule")["services"]
                    windows += [each for each in services if each["case"] == case["id"]]
                    bounds.append(case["order"]["bound"])
            time.sleep(0.5)

        assert case["evidence"][0]["tag"] == f"{SPINDLE}/vibration"
        assert told is not None and told["source"] == "limit", (
            "its growth was foretold to the limit of the site"
        )
        assert told["prognosis"]["lower"] is not None
        assert windows, "the plan showed its window"
        assert windows[-1]["workcell"] == SPINDLE
        assert windows[-1]["end"] <= max(bounds)
        assert case["began"] is not None and case["ended"] > case["began"]
        assert (case["verdict"], case["found"]) == ("true", "worn, exchanged")
        events = [step["event"] for step in page.get(f"/maintenance/cases/{case['id']}")["journal"]]
        assert [each for each in events if each != "foresee"] == [
            *("open", "acknowledge", "plan", "start", "find", "finish", "close")
        ]
        assert [ts for ts in page.failures() if ts < case["ended"]] == []
        _is_learned_anew(page, case)


def _is_learned_anew(page: Page, case: dict[str, Any]) -> None:
    """What was normal is forgotten; the machine with its new bearing becomes normal, and no alarm stands."""
    while True:
        sheet = page.get(f"/maintenance/assets/{case['asset']}")
        brief = sheet["brief"]
        if brief["state"] == "watching" and brief["updated"] > case["ended"] and sheet["evidence"]:
            break
        time.sleep(0.5)
    assert not brief["alarmed"]
    normal = {each["evidence"]["tag"]: each["evidence"]["normal"] for each in sheet["evidence"]}
    if "vibration" in normal:
        assert normal["vibration"] < case["evidence"][0]["current"]

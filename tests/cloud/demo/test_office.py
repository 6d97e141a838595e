"""The demo's office does what is possible to a case, after a while, and gives way to whoever was quicker."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cloud.demo.office import PATIENCE, Office


class Service:
    """Cases in memory, behind the calls that the office makes."""

    def __init__(self, state: str = "open", found: str = "worn, exchanged", mode: str = "wear") -> None:
        self.case = {"id": "c1", "mode": mode, "state": state, "found": found}
        self.asked: list[tuple[str, Any]] = []
        self.answers = 200

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        if method == "GET":
            return [dict(self.case)]
        self.asked.append((path.removeprefix("/maintenance/cases/c1/"), arguments["json"]))
        request = httpx.Request(method, f"http://onelot.test{path}")
        httpx.Response(self.answers, request=request).raise_for_status()
        steps = {"acknowledge": "acknowledged", "plan": "planned", "verdict": "closed"}
        self.case["state"] = steps[self.asked[-1][0]]
        return None


def looked(service: Service, seconds: int) -> list[str]:
    office = Office(service)
    for second in range(seconds):
        office.look(float(second))
    return [step for step, _ in service.asked]


def test_a_suspicion_stands_a_moment_and_becomes_an_order() -> None:
    assert looked(Service(), int(PATIENCE)) == []
    service = Service()
    assert looked(service, 20) == ["acknowledge", "plan"]
    assert service.case["state"] == "planned"


@pytest.mark.parametrize(
    ("found", "verdict"), [("worn, exchanged", "true"), ("no wear to be seen", "false-alarm")]
)
def test_what_was_found_becomes_the_verdict(found: str, verdict: str) -> None:
    service = Service("done", found)
    assert looked(service, 10) == ["verdict"]
    assert (service.asked[0][1]["verdict"], service.asked[0][1]["found"]) == (verdict, found)


@pytest.mark.parametrize("state", ["planned", "in_work"])
def test_what_the_floor_has_to_do_is_left_to_it(state: str) -> None:
    assert looked(Service(state), 20) == []


def test_a_sensor_is_nobodys_wear() -> None:
    assert looked(Service(mode="sensor"), 20) == []


def test_whoever_was_quicker_is_no_failure_but_a_service_in_trouble_is() -> None:
    service = Service()
    service.answers = 409
    assert looked(service, 5) == ["acknowledge", "acknowledge"]
    service.answers = 500
    with pytest.raises(httpx.HTTPStatusError):
        looked(service, 5)

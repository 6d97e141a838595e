"""The page on questions to the plan shows requests that are taken, and names every path there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from cloud.api.decisions import DecisionRequest
from cloud.dispatching.asking.changes import ScenarioRequest
from cloud.dispatching.asking.forecast import PromiseRequest
from tests.cloud.api.service import opened

PAGE = Path(__file__).parents[3] / "docs/questions.md"
TAKES: dict[str, type[BaseModel]] = {
    "/schedule/scenarios": ScenarioRequest,
    "/schedule/promise": PromiseRequest,
    "/schedule/decisions": DecisionRequest,
}
EXAMPLE = re.compile(r"^    POST (\S+)\n((?:    .*\n)+)", re.MULTILINE)


@pytest.mark.parametrize("path", TAKES)
def test_what_the_page_shows_is_taken(path: str) -> None:
    shown = {match[1]: match[2] for match in EXAMPLE.finditer(PAGE.read_text("utf-8"))}
    TAKES[path].model_validate(json.loads(shown[path]))


async def test_every_path_of_the_plan_is_on_the_page(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    async with opened(tmp_path) as door, door.client(None) as stranger:
        document = (await stranger.get("/openapi.json")).json()
    paths = [path.removeprefix("/api/v1") for path in document["paths"] if "/schedule" in path]
    assert len(paths) >= 12
    named = re.sub(r"\{\w+\}", "{}", text)
    assert [path for path in paths if re.sub(r"\{\w+\}", "{}", path) not in named.replace("\n", " ")] == []


@pytest.mark.parametrize("change", re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE))
def test_every_change_of_the_page_exists(change: str) -> None:
    schema = ScenarioRequest.model_json_schema()
    assert change in json.dumps(schema["properties"]["changes"])

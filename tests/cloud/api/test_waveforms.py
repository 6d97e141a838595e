"""Waveforms through the API."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from cloud.api.roles import Role
from cloud.ledger import tables
from protocols.lanes import Down
from tests.cloud.api.service import Door, opened
from tests.cloud.maintenance.waveforms.wave_answers import PATH, RATE, T0, answer, block

HERE = "/api/v1/maintenance/waveforms"


def put(door: Door, question: str, *blocks: object, first: int = 1) -> None:
    blobs = answer(question, *blocks)  # type: ignore[arg-type]
    batches = [(row, "machining", T0, blob) for row, blob in enumerate(blobs, start=first)]
    door.context.waveforms.store.take(batches)


async def test_what_there_is_what_was_asked_and_a_block_with_its_spectra(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as client:
        for number, name in enumerate(("rms", "kurtosis", "crest")):
            row = {
                "path": f"{PATH}.{name}",
                "type": "float64",
                "unit": "m/s²",
                "edge": "machining",
                "device": "laser-1",
                "role": "vibration",
                "max_interval": 0.0,
                "current": True,
                "first_seen": number,
            }
            door.context.database.write(lambda tx, row=row: tx.execute(tables.tag.insert(), row)).result()  # type: ignore[misc]
        made = await client.post(f"{HERE}/questions", json={"path": PATH, "start": T0, "end": T0})
        assert made.status_code == 202, made.text
        question = made.json()
        assert (question["edge"], question["state"], question["actor"]) == ("machining", "asked", "somebody")
        assert (await client.get(f"{HERE}/questions/{question['id']}")).json() == question
        put(door, question["id"], block())
        listed = (await client.get(HERE, params={"device": "laser-1"})).json()
        (waveform,) = listed["waveforms"]
        assert (waveform["path"], waveform["unit"], waveform["role"]) == (PATH, "m/s²", "vibration")
        assert [each["ts"] for each in listed["blocks"]] == [T0]
        assert listed["questions"][0]["state"] == "here"
        found = (await client.get(f"{HERE}/blocks/{T0 + 1000}", params={"path": PATH})).json()
        assert (found["ts"], found["rate"], found["regime"], found["turns"]) == (
            T0,
            RATE,
            "running P-7",
            25.0,
        )
        assert len(found["samples"]) == 2048
        lines = found["spectrum"]
        assert lines["hertz"][lines["amplitudes"].index(max(lines["amplitudes"]))] == 25.0
        swing = found["envelope"]
        assert swing["hertz"][swing["amplitudes"].index(max(swing["amplitudes"]))] == 100.0
        assert (found["band"], found["marks"]) == ([1200.0, 2400.0], {"bpfo": 100.0, "bpfi": 135.5})
        assert math.isclose(max(lines["hertz"]), RATE / 2)
        picture = await client.get(f"{HERE}/blocks/{T0}/picture", params={"path": PATH})
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert picture.text.startswith("<svg ") and "bpfo" in picture.text


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        (
            "blocks/5",
            {"path": PATH},
            404,
            "ask for it with POST /api/v1/maintenance/waveforms/questions",
        ),
        ("blocks/5/picture", {"path": PATH}, 404, "no block of laser-1/drive near 5 is here"),
        ("blocks/5", {"path": "x"}, 422, "path"),
        ("blocks/-1", {"path": PATH}, 422, "ts"),
        ("questions/unknown", {}, 404, "there is no question unknown"),
        ("", {"devise": "x"}, 422, "did you mean device?"),
    ],
)
async def test_what_is_not_there_says_what_to_do(
    tmp_path: Path, path: str, params: dict[str, str | int], status: int, words: str
) -> None:
    async with opened(tmp_path) as door, door.client() as client:
        answered = await client.get(f"{HERE}/{path}".rstrip("/"), params=params)
        assert answered.status_code == status and words in answered.text, answered.text


async def test_a_block_of_another_time_is_not_shown_for_the_one_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as client:
        put(door, "q", block())
        late = f"{HERE}/blocks/{T0 + 3_600_000_000}"
        answered = await client.get(late, params={"path": PATH})
        assert answered.status_code == 404 and f"the nearest one here is of {T0}" in answered.text
        assert (await client.get(late, params={"path": PATH, "near": 4_000_000_000})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"path": "lasr-1/drive", "start": 1, "end": 1}, 404, "did you mean laser-1"),
        ({"path": PATH, "start": 2, "end": 1}, 422, "exchange them"),
        ({"path": "laser-1", "start": 1, "end": 1}, 422, "path"),
        ({"path": PATH, "start": 1, "end": 1, "most": 17}, 422, "most"),
        ({"path": PATH, "start": 1, "end": 1, "all": True}, 422, "all"),
    ],
)
async def test_a_question_that_cannot_be_is_refused(
    tmp_path: Path, body: dict[str, object], status: int, words: str
) -> None:
    async with opened(tmp_path) as door, door.client() as client:
        answered = await client.post(f"{HERE}/questions", json=body)
        assert answered.status_code == status and words in answered.text, answered.text
        assert door.context.publisher.unconfirmed() == {}


async def test_who_may_only_look_may_not_ask(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        async with door.client(Role.VIEWER) as client:
            body = {"path": PATH, "start": 1, "end": 1}
            assert (await client.post(f"{HERE}/questions", json=body)).status_code == 403
            assert (await client.get(HERE)).status_code == 200
        async with door.client(None) as client:
            assert (await client.get(HERE)).status_code == 401
        assert Down.WAVEFORM not in {kind for _, kind, _ in door.context.publisher._pending}

"""Models of remaining life through the API: who may bring in what, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from cloud.api.roles import Role
from cloud.ledger import tags
from protocols.catalogue import TagDefinition, catalogue
from protocols.prognostics import model_file
from protocols.prognostics.deployment import MAX_FILE
from protocols.values import DataType
from tests.cloud.api.service import Door, opened
from tests.cloud.maintenance.rul import signed

LASER = "b6de0459-4908-58bd-8e73-62fe1e58a6ee"
MODELS = "/api/v1/maintenance/models"
NAMES = ("speed", "vibration", "temperature", "current", "cycle")


async def tagged(door: Door, *names: str) -> None:
    """Let the laser have told its tags."""
    found = [
        TagDefinition(
            number,
            f"laser-1/{name}",
            DataType.STRING if name == "program" else DataType.FLOAT64,
            "",
            "",
            "laser-1",
        )
        for number, name in enumerate(names, 1)
    ]
    known = catalogue("machining", found)
    await door.context.database.run(lambda tx: tags.announce(tx, "machining", known.content_hash(), known, 1))


async def test_a_model_goes_from_candidate_to_active_and_back(tmp_path: Path) -> None:
    keys = [str(signed.public_key(tmp_path))]
    async with opened(tmp_path, trusted_keys=keys) as door, door.client() as office:
        await tagged(door, *NAMES)
        ids = []
        for seed in (1, 2):
            made = await office.post(MODELS, params={"scope": "laser-1"}, content=signed.data(seed))
            assert made.status_code == 200, made.text
            ids.append(made.json()["id"])
        again = await office.post(MODELS, params={"scope": LASER}, content=signed.data(1))
        early = await office.post(f"{MODELS}/{ids[0]}/activate", json={})
        for name in ids:
            assert (await office.post(f"{MODELS}/{name}/shadow", json={})).status_code == 200
            few = await office.post(f"{MODELS}/{name}/activate", json={})
            done = await office.post(f"{MODELS}/{name}/activate", json={"reason": "it is a trial"})
            assert done.json()["state"] == "active", done.text
        unsaid = await office.post(f"{MODELS}/{ids[1]}/roll-back", json={})
        back = await office.post(f"{MODELS}/{ids[1]}/roll-back", json={"reason": "it cries wolf"})
        wrong = await office.post(f"{MODELS}/{ids[1]}/roll-back", json={"reason": "again"})
        listed = (await office.get(MODELS)).json()
        one = (await office.get(f"{MODELS}/{ids[0]}")).json()

    assert again.json()["id"] == ids[0], "the same file of the same machine is one version"
    assert early.status_code == 409
    assert few.status_code == 409
    assert "0 scores in shadow, 100 are wanted" in few.json()["detail"]
    assert unsaid.status_code == 422
    assert back.json()["id"] == ids[0]
    assert wrong.status_code == 404
    assert "only from the active one" in wrong.json()["detail"]
    assert {sheet["version"]["id"]: sheet["version"]["state"] for sheet in listed} == {
        ids[0]: "active",
        ids[1]: "retired",
    }
    assert one["machines"] == ["laser-1"]
    assert [(step["event"], step["actor"], step["reason"]) for step in one["journal"]] == [
        ("roll back", "somebody", "it cries wolf"),
        ("retire", "somebody", f"replaced by {ids[1]}"),
        ("activate", "somebody", "it is a trial"),
        ("shadow", "somebody", ""),
        ("register", "somebody", ""),
    ]
    summary = one["version"]["summary"]
    assert summary["row"] == {"counter": "cycle", "every": 0.0, "settle": 0.0}
    assert summary["validation"]["rmse_capped"] == 9.5
    assert len(one["version"]["sha256"]) == 64


async def test_what_is_not_to_be_trusted_or_does_not_fit_is_refused_with_a_sentence(tmp_path: Path) -> None:
    keys = [str(signed.public_key(tmp_path))]
    good = signed.data()
    byte = good.index(b"vibration")
    altered = good[:byte] + b"w" + good[byte + 1 :]
    stranger = model_file.write(signed.model(), Ed25519PrivateKey.generate())
    cases = {
        "laser-1 has not told its tags yet": (good, "laser-1"),
        "changed after it was written": (altered, "laser-1"),
        "trusted here:": (stranger, "laser-1"),
        "not signed": (model_file.write(signed.model()), "laser-1"),
        "not a model file": (b"{}", "laser-1"),
        "scores files alone": (signed.data(row=None), "laser-1"),
        "did you mean laser-1": (good, "laser-11"),
    }
    async with opened(tmp_path, trusted_keys=keys) as door, door.client() as office:
        for words, (data, scope) in cases.items():
            answer = await office.post(MODELS, params={"scope": scope}, content=data)
            assert answer.status_code == 422, answer.text
            assert words in answer.json()["detail"]
        await tagged(door, "speed", "vibratoin", "temperature", "current")
        unfit = await office.post(MODELS, params={"scope": "laser-1"}, content=good)
        huge = await office.post(MODELS, params={"scope": "laser-1"}, content=bytes(MAX_FILE + 1))
        async with door.client(Role.VIEWER) as viewer:
            looker = await viewer.post(MODELS, params={"scope": "laser-1"}, content=good)
        assert (await office.get(MODELS)).json() == []

    assert unfit.status_code == 422
    assert "laser-1 has no tag vibration (did you mean vibratoin?), cycle" in unfit.json()["detail"]
    assert huge.status_code == 413
    assert looker.status_code == 403


async def test_without_a_trusted_key_nothing_is_taken_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office:
        answer = await office.post(MODELS, params={"scope": "laser-1"}, content=signed.data())
    assert answer.status_code == 422
    assert "maintenance: trusted_keys" in answer.json()["detail"]


async def test_a_tag_that_is_a_text_does_not_fit(tmp_path: Path) -> None:
    keys = [str(signed.public_key(tmp_path))]
    data = model_file.write(replace(signed.model(), conditions=("program",)), signed.KEY)
    async with opened(tmp_path, trusted_keys=keys) as door, door.client() as office:
        await tagged(door, "program", *NAMES)
        answer = await office.post(MODELS, params={"scope": "laser-1"}, content=data)
    assert answer.status_code == 422
    assert "laser-1: program is a text, a number is wanted" in answer.json()["detail"]


async def test_a_life_is_asked_for_and_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as door, door.client() as office, door.client(Role.VIEWER) as viewer:
        path = f"/api/v1/maintenance/assets/{LASER}"
        before = await viewer.get(f"{path}/life")
        refused = await viewer.post(f"{path}/renewed", json={"reason": "new spindle"})
        unsaid = await office.post(f"{path}/renewed", json={})
        done = await office.post(f"{path}/renewed", json={"reason": "new spindle"})
        nowhere = await office.get("/api/v1/maintenance/assets/nothing/life")
        no_model = await office.get(f"{path}/life", params={"model": "nine"})

    assert before.json() == {
        "asset": LASER,
        "device": "laser-1",
        "life": None,
        "hours": None,
        "evidence": [],
        "rows": [],
    }
    assert (refused.status_code, unsaid.status_code, done.status_code) == (403, 422, 200)
    assert (nowhere.status_code, no_model.status_code) == (404, 404)

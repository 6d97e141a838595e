"""From a number of the evidence to the block it was made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.maintenance.waveforms.store import Asked
from cloud.web.maintenance import waveform_sheet
from cloud.web.maintenance.waveform_sheet import fetch, opens, read
from cloud.web.speech import Speech
from tests.cloud.api.service import Door, opened
from tests.cloud.maintenance.waveforms.wave_answers import PATH, T0, answer, block

ADDRESS = f"waveform:{PATH}@{T0}"


def put(door: Door, question: str, *blocks: object, why: str = "") -> None:
    blobs = answer(question, *blocks, why=why)  # type: ignore[arg-type]
    place = door.context.waveforms.store.ledgered()
    batches = [(row, "machining", T0, blob) for row, blob in enumerate(blobs, start=place + 1)]
    door.context.waveforms.store.take(batches)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("laser-1/drive.kurtosis", f"waveform:laser-1/drive@{T0}"),
        ("laser-1/drive.band_3", f"waveform:laser-1/drive@{T0}"),
        ("laser-1/axis/x.envelope_bpfo", f"waveform:laser-1/axis/x@{T0}"),
        ("laser-1/vibration", ""),
        ("laser-1/motor.current", ""),
    ],
)
def test_numbers_of_blocks_lead_to_their_waveform(tag: str, expected: str) -> None:
    assert opens(tag, T0) == expected


async def test_a_block_is_fetched_from_its_sheet_and_shown_on_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        before = await read(door.context, ADDRESS)
        assert "lies at the edge, not here" in before.lines[0]
        assert before.acts == (("fetch", ADDRESS),) and before.picture == ""
        assert await fetch(door.context, ADDRESS, "p1") == "asked: open it again in a moment"
        waiting = await read(door.context, ADDRESS)
        assert waiting.acts == () and "the edge has not answered yet" in waiting.lines[1]
        (question,) = await door.context.waveforms.questions("laser-1")
        put(door, question.id, block(T0 + 40_000_000))
        shown = await read(door.context, ADDRESS)
        assert shown.picture.startswith("<svg ") and shown.acts == ()
        assert "while the machine was running P-7" in shown.lines[0]
        assert shown.lines[1].startswith("2048 samples at 6400 Hz, rms 1.")
        chinese = await read(door.context, ADDRESS, Speech("zh"))
        assert "信号" in chinese.picture and "包络" in chinese.picture


async def test_why_a_block_does_not_come_is_said_and_it_can_be_asked_for_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as door:
        await fetch(door.context, ADDRESS, "p1")
        (question,) = await door.context.waveforms.questions("laser-1")
        put(door, question.id, why="overwritten: the edge keeps blocks from noon on")
        assert (await door.context.waveforms.questions("laser-1"))[0].state is Asked.NONE
        sheet = await read(door.context, ADDRESS)
        assert sheet.lines[1:] == (
            "the edge does not have it",
            "overwritten: the edge keeps blocks from noon on",
        )
        assert sheet.acts == (("fetch", ADDRESS),)


@pytest.mark.parametrize(
    "address", ["waveform:", "waveform:laser-1@5", "waveform:laser-1/drive@x", "waveform:a/b@1@2"]
)
async def test_an_address_that_is_none_says_so(tmp_path: Path, address: str) -> None:
    async with opened(tmp_path) as door:
        assert (await read(door.context, address)).title == f"there is nothing at {address}"
        assert await fetch(door.context, address, "p1") == "there is nothing to fetch"
        gone = await fetch(door.context, f"waveform:lasr-1/drive@{T0}", "p1")
        assert "did you mean laser-1" in gone


def test_the_kind_is_one_of_its_own() -> None:
    from cloud.web.sheets import _SHEETS

    assert waveform_sheet.KIND.rstrip(":") not in _SHEETS

"""What deviates when a machine is checked against its profile; no machine needed."""

from __future__ import annotations

from drivers.capabilities import Identity
from drivers.modbus.profile import ModbusProfile
from drivers.profile.profile import AnyProfile
from edge.commission.acceptance import Acceptance, Observation, Watched, as_data, judged, spoken_rate
from edge.identity import Examination, Verdict, judge
from protocols.documents import loads
from protocols.values import Quality, Reading, Reason

PROFILE: AnyProfile = loads(
    """
    vendor: Acme
    model: Press
    protocol: modbus
    modbus: {word_order: ABCD}
    firmware: {min: "2.8"}
    tags:
      state: {address: "holding:0", type: uint16, sampling: 0.5, role: state, enum: {0: idle, 1: running}}
      mode: {address: "holding:1", type: uint16, enum: {0: manual}}
      force: {address: "holding:2", type: float32, unit: kN, sampling: 0.1, access: read-write}
      reset: {address: "holding:9", type: uint16, access: write}
    states: {idle: {item_state: not_executing}}
    writes: {force: {min: 1, max: 9}}
    """,
    ModbusProfile,
    "press.yaml",
)
GOOD = (Reading("state", 0), Reading("mode", 0), Reading("force", 2.5))


def seen(*readings: Reading, watched: Watched | None = None, subscribes: bool = False) -> Acceptance:
    examination = Examination(Identity(firmware="2.9"))
    verdict = judge(PROFILE, examination)
    problems = {r.path: "the device refuses this address" for r in readings if r.quality is Quality.BAD}
    return judged(PROFILE, Observation(examination, verdict, readings, problems, watched, subscribes))


def test_a_machine_that_is_as_its_profile_says_passes() -> None:
    found = seen(*GOOD)
    assert (found.passed, found.deviations, found.identity) == (True, [], {"firmware": "2.9"})
    assert [result.word for result in found.results] == ["idle", "manual", ""]


def test_a_bad_tag_fails_and_says_why() -> None:
    found = seen(*GOOD[:2], Reading("force", None, Quality.BAD, Reason.ILLEGAL_ADDRESS))
    assert not found.passed
    assert found.deviations == [("force", "illegal_address: the device refuses this address")]


def test_another_firmware_fails_though_every_tag_is_good() -> None:
    examination = Examination(Identity(firmware="1.0"))
    found = judged(PROFILE, Observation(examination, judge(PROFILE, examination), GOOD, {}))
    assert not found.passed
    assert found.deviations == [("machine", 'firmware "1.0" found, 2.8 to any expected')]


def test_a_value_without_a_meaning_deviates_and_does_not_fail() -> None:
    found = seen(Reading("state", 1), Reading("mode", 7), GOOD[2])
    assert found.passed
    assert dict(found.deviations) == {
        "state": "1 is not listed under states: the edge will not know what it means",
        "mode": "7 has no word in its enum",
    }


def test_a_value_that_its_type_cannot_hold_is_bad_here_as_at_the_edge() -> None:
    found = seen(Reading("state", 70_000), *GOOD[1:])
    assert not found.passed
    assert found.results[0].quality is Quality.BAD
    assert "uint16 does not hold this value" in found.results[0].deviations[0]


def test_rates_are_held_against_sampling_where_the_machine_is_polled() -> None:
    watched = Watched(10.0, {"state": 20, "mode": 10, "force": 40})
    found = seen(*GOOD, watched=watched)
    assert found.deviations == [("force", "comes 4.0/s instead of 10.0/s")]
    assert found.passed
    assert [result.came for result in found.results] == ["2.0/s", "1.0/s", "4.0/s"]
    changes = seen(*GOOD, watched=watched, subscribes=True)
    assert changes.deviations == []
    assert [result.came for result in changes.results] == ["20×", "10×", "40×"]


def test_what_was_too_short_to_tell_is_said_and_not_held_against_it() -> None:
    found = seen(*GOOD, watched=Watched(1.0, {"state": 2, "mode": 1, "force": 10}))
    assert found.results[1].rate is None
    assert "how often 1 slow tag comes: watch for longer" in found.not_tested


def test_what_goes_bad_or_is_lost_while_watched_fails() -> None:
    counts = {"state": 20, "mode": 10, "force": 100}
    bad = seen(*GOOD, watched=Watched(10.0, counts, went_bad={"mode": "no reply"}))
    assert (bad.passed, bad.deviations) == (False, [("mode", "went bad while watched: no reply")])
    lost = seen(*GOOD, watched=Watched(10.0, counts, lost="closed by the device"))
    assert (lost.passed, lost.deviations) == (
        False,
        [("machine", "lost after 10.0 s: closed by the device")],
    )


def test_what_was_not_tested_is_said() -> None:
    said = "\n".join(seen(*GOOD).not_tested)
    for words in ("--seconds", "writes: 1 allowed", "can only be written: reset", "compare them"):
        assert words in said
    silent = judged(PROFILE, Observation(Examination(), Verdict(), GOOD, {}))
    assert "its firmware: the machine does not say, so nothing was compared" in silent.not_tested
    unasked = judged(PROFILE, Observation(None, Verdict(), GOOD, {}))
    assert "which machine it is: it did not answer the question" in unasked.not_tested


def test_data_for_programs_has_the_value_as_it_is() -> None:
    data = as_data(seen(*GOOD, watched=Watched(10.0, {"state": 20, "mode": 10, "force": 100})))
    assert data["passed"] is True
    assert data["tags"][2] == {
        "tag": "force",
        "value": 2.5,
        "unit": "kN",
        "quality": "good",
        "reason": "none",
        "problem": "",
        "deviations": [],
        "rate": 10.0,
        "sampling": 0.1,
    }


def test_rates_are_spoken_so_that_they_can_be_compared() -> None:
    spoken = [spoken_rate(rate) for rate in (10.0, 1.0, 0.25, 1 / 60, 0.0)]
    assert spoken == ["10.0/s", "1.0/s", "every 4.0 s", "every 60 s", "never"]

"""Waveforms in a profile: what a tag with one becomes, and what is wrong with one, at its place."""

from __future__ import annotations

import itertools
import re

import pytest

from drivers.profile.features import feature_tags
from drivers.profile.files import LIBRARY, check_profile, find_profiles, load_profile
from drivers.profile.profile import AnyProfile
from drivers.profile.waveform import When, octaves
from protocols.documents import DocumentError, parse

SPINDLE = """\
vendor: A
model: B
protocol: opcua
tags:
  state: {address: "ns=1;s=state", type: int32, role: state}
  ready: {address: "ns=1;s=ready", type: bool}
  speed: {address: "ns=1;s=speed", type: float64, unit: 1/min}
  wave:
    address: ns=1;s=wave
    type: int16
    unit: m/s²
    scale: 0.002
    role: vibration
    waveform:
      rate: 6400
      length: 2048
      every: 30
      when: running
      trigger: ready
      bands: [[10, 200], [200, 3200]]
      envelope: [1200, 2400]
      shaft: speed
      defects: {bpfo: 3.58}
states:
  3: {item_state: executing}
"""


def load(text: str) -> AnyProfile:
    return check_profile(parse(text, "m.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_tag_with_a_waveform_is_no_value_that_streams() -> None:
    profile = load(SPINDLE)
    assert set(profile.tags) == {"state", "ready", "speed"}
    assert set(profile.waveforms) == {"wave"}
    assert set(profile.all_tags) == set(profile.tags)


def test_its_numbers_are_tags_with_its_role_and_unit() -> None:
    made = feature_tags(load(SPINDLE))
    assert {name: (tag.unit, str(tag.role)) for name, tag in made.items()} == {
        "wave.rms": ("m/s²", "vibration"),
        "wave.peak": ("m/s²", "vibration"),
        "wave.crest": ("", "vibration"),
        "wave.kurtosis": ("", "vibration"),
        "wave.band_1": ("m/s²", "vibration"),
        "wave.band_2": ("m/s²", "vibration"),
        "wave.envelope": ("m/s²", "vibration"),
        "wave.shaft": ("m/s²", "vibration"),
        "wave.envelope_bpfo": ("m/s²", "vibration"),
    }
    assert all(tag.max_interval == 0 for tag in made.values())


def test_what_is_left_out_has_a_default() -> None:
    profile = load(re.sub(r"(?s)      every: 30.*(?=states:)", "", SPINDLE))
    wave = profile.waveforms["wave"].waveform
    assert wave is not None
    assert [wave.every, wave.keep, wave.keep_days] == [60, 64_000_000, 30]
    assert wave.trigger is None and wave.when == When.ALWAYS
    assert list(wave.all_bands) == [(0, 400), (400, 800), (800, 1600), (1600, 3200)]
    assert [name for name in feature_tags(profile) if "band" in name] == [
        f"wave.band_{n}" for n in (1, 2, 3, 4)
    ]


def test_octaves_leave_nothing_out() -> None:
    bands = octaves(51_200)
    assert bands[0][0] == 0 and bands[-1][1] == 25_600
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bands))


def test_axes_are_an_array_or_a_template_of_waveforms() -> None:
    text = """\
vendor: A
model: B
protocol: modbus
templates:
  axis:
    at: {x: 0, y: 1000}
    tags:
      wave: {address: "input:100", type: float32, waveform: {rate: 1000, length: 256}}
tags:
  ok: {address: "coil:0", type: bool}
  phase: {address: "input:5000", type: int32, count: 2, waveform: {rate: 1000, length: 128}}
"""
    profile = load(text)
    assert {name: tag.address for name, tag in profile.waveforms.items()} == {
        "phase/0": "input:5000",
        "phase/1": "input:5256",
        "x/wave": "input:100",
        "y/wave": "input:1100",
    }
    assert "x/wave.rms" in feature_tags(profile)


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("rate: 6400", "rate: 0", "15:13", "tags.wave.waveform.rate: 0 must be greater than 0"),
        ("length: 2048", "length: 12", "16:15", "tags.wave.waveform.length: 12 must be at least 64"),
        ("length: 2048", "", "14:5", 'tags.wave.waveform: missing key "length"'),
        ("rate: 6400", "rat: 6400", "15:7", 'unknown key "rat" — did you mean rate?'),
        ("when: running", "when: runing", "18:13", '"runing" is not one of'),
        ("trigger: ready", "trigger: redy", "19:16", 'no tag "redy" in this profile — did you mean ready?'),
        ("trigger: ready", "trigger: speed", "19:16", '"speed" is a float64: only a bool rises'),
        ("shaft: speed", "shaft: ready", "22:14", '"ready" is a bool, not a speed'),
        ("unit: 1/min", "unit: kW", "22:14", 'the unit of "speed" says nothing of turns: "kW" is not one of'),
        ("shaft: speed", "shaft: 3", "22:14", "3 Hz does not show: blocks like these show 6.25 Hz to"),
        ("every: 30", "every: 0.1", "17:14", "0.1 s is less than a block takes: 2048 samples at 6400 Hz"),
        ("[200, 3200]]", "[200, 4000]]", "20:32", "4000 Hz is above half the rate: 3200 Hz"),
        ("[10, 200]", "[200, 10]", "20:15", "[200, 10] is no band from low to high"),
        ("[10, 200]", "[10, 11]", "20:15", "[10, 11] is 1 Hz wide, a block resolves 3.125 Hz"),
        ("[1200, 2400]", "[1200]", "21:17", "tags.wave.waveform.envelope: needs at least 2, has 1"),
        ("shaft: speed\n", "\n", "23:16", "are turns of a shaft: say how fast it turns with the key shaft"),
        ("envelope: [1200, 2400]\n", "\n", "23:16", "show in the envelope: say of which band"),
        ("shaft: speed", "shaft: 400", "23:23", "3.58 × 400 Hz is 1432 Hz"),
        ("role: vibration", "role: state", "13:11", "a waveform is a vibration"),
        ("type: int16", "type: string", "10:11", "a waveform is of int16"),
        ("scale: 0.002", "deadband: 0.1", "12:15", "a waveform has no deadband: leave it out"),
        ("scale: 0.002", "sampling: 5", "12:15", "waveform.every says how often a block is taken"),
        ("scale: 0.002", "count: 3", "12:12", "several waveforms have {} in their address"),
        ("role: state", "role: mode", "18:13", "no tag has the role state"),
        ("  wave:\n", "  wave.rms: {address: i=2, type: bool}\n  wave:\n", "10:5", 'the tag "wave.rms"'),
    ],
)  # fmt: skip
def test_a_mistake_is_said_at_its_place(old: str, new: str, where: str, what: str) -> None:
    found = problems(SPINDLE.replace(old, new, 1))
    assert any(f"m.yaml:{where}" in text and what in text for text in found), found


def test_a_vehicle_has_no_waveforms() -> None:
    text = """\
vendor: A
model: B
protocol: vda5050
tags:
  x: {address: state.batteryState.batteryCharge, type: float64, waveform: {rate: 100, length: 64}}
"""
    assert any("VDA 5050 has no arrays of samples" in text for text in problems(text))


def test_profiles_from_before_mean_what_they_meant() -> None:
    """No profile of the library has a waveform by accident, and all tags of the others stream."""
    having = [name for name, path in find_profiles(LIBRARY).items() if load_profile(path).waveforms]
    assert having == ["virtual/laser"]

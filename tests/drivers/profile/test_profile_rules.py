"""Checks, derived states, counters and permissions of a profile: what is wrong is said where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drivers.opcua.profile import OpcuaProfile
from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile, Bounds, Effect, Verified
from protocols.documents import DocumentError, parse
from protocols.states import ItemState

RETROFIT = """\
vendor: Acme
model: Press without an interface
protocol: modbus
verified: hardware
firmware: {min: "2.8", max: "3.1"}
identification: {firmware: version, checks: [{address: "holding:9", type: uint16, equals: 7}]}
tags:
  green: {address: "discrete:0", type: bool}
  red: {address: "discrete:1", type: bool}
  current: {address: "input:0", type: float32, unit: A}
  mode: {address: "input:2", type: uint16, enum: {0: hand, 1: auto}}
  version: {address: "input:4", type: string, length: 6}
  parts: {address: "input:10", type: uint16, role: part_count, counter: {max: 9999}}
  remote: {address: "discrete:2", type: bool, role: remote_enabled}
  go: {address: "coil:0", type: bool, access: read-write}
states:
  working: {item_state: executing}
  idle: {item_state: not_executing}
  fault: {item_state: out_of_service, reason: fault}
derive:
  state:
    debounce: 2
    rules:
      - {state: fault, when: {red: true}, reason: red-light}
      - {state: working, when: {green: true, current: {above: 3.5}, mode: auto}}
    otherwise: idle
writes:
  go: {allowed: [true], effect: start, item_states: [not_executing], interval: 30, two_people: true}
"""


def load(text: str) -> AnyProfile:
    return check_profile(parse(text, "r.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_profile_with_everything() -> None:
    profile = load(RETROFIT)
    assert profile.verified is Verified.HARDWARE
    assert profile.has_state
    assert list(profile.checks) == ["identification/0"]
    assert profile.identification.checks[0].equals == 7
    assert profile.tags["parts"].wraps_at == 9999
    rules = profile.derive["state"].rules
    assert rules[0].when == {"red": True}
    assert rules[1].when == {"green": True, "current": Bounds(above=3.5), "mode": "auto"}
    rule = profile.writes["go"]
    assert (rule.effect, rule.item_states, rule.interval, rule.two_people) == (
        Effect.START,
        (ItemState.NOT_EXECUTING,),
        30.0,
        True,
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("verified: hardware", "verified: hardwear", "did you mean hardware?"),
        ('max: "3.1"', "max: 3.1", "3.1 is not text (put it in quotes)"),
        ('max: "3.1"', 'max: "2.7"', 'firmware.max: "2.7" is below min 2.8'),
        ('max: "3.1"', "max: latest", '"latest" is no version'),
        ("firmware: version", "firmware: versoin", "did you mean version?"),
        ("equals: 7}", "equals: seven}", '"seven" is never a uint16'),
        (", equals: 7}", "}", 'checks.0: missing key "equals"'),
        ('"holding:9"', '"holdng:9"', "identification.checks.0.address:"),
        ("equals: 7}", "equals: 7, count: 2}", "a check reads one value, not an array"),
        ("equals: 7}", "equals: 7, word_ordr: ABCD}", "did you mean word_order?"),
        ("max: 9999", "max: 99999", "99999 is more than a uint16 holds: 65535"),
        ("counter: {max: 9999}", "scale: 0.5, counter: {}", "only a plain number counts, not a scaled value"),
        ("max: 9999", "rest: true", 'tags.parts.counter: unknown key "rest" — did you mean reset?'),
        ("length: 6", "length: 6, encoding: utf8", "did you mean utf-8?"),
        ("type: float32, unit: A", "type: float32, encoding: ascii", "only a string has an encoding"),
        ("type: bool, role: remote_enabled", "type: bool, bit: 1", "a bit is taken from a register"),
        ("role: remote_enabled", "description: leave", "give the tag that shows it role: remote_enabled"),
        ("  green: {", "  x: {address: 30001, type: uint16, role: remote_enabled}\n  green: {", "is a bool"),
        (
            "  green: {",
            "  x: {address: coil:9, type: bool, role: remote_enabled}\n  green: {",
            "has the role",
        ),
        (
            "  green: {",
            "  x: {address: 30001, type: uint16, role: state}\n  green: {",
            "derive only what",
        ),
        ("derive:\n  state:", "derive:\n  stat:", 'derive.stat: "stat" is not one of state — did you mean'),
        ("- {state: fault", "- {state: fualt", "is not explained in states — did you mean fault?"),
        ("otherwise: idle", "otherwise: off duty", "add it: off duty: {item_state: …}"),
        ("when: {red: true}", "when: {}", "derive.state.rules.0.when: needs at least 1, has 0"),
        ("when: {red: true}", "when: {rde: true}", "did you mean red?"),
        ("when: {red: true}", "when: {red: 1}", "1 is never a bool: it would never be met"),
        ("when: {red: true}", "when: {red: {above: 1}}", "only a number can be compared, not a bool"),
        ("{above: 3.5}", "{abvoe: 3.5}", "did you mean above?"),
        ("{above: 3.5}", "{above: 3.5, below: 9}", "a range is between: [from, to]"),
        ("{above: 3.5}", "{between: [9, 3]}", "from 9 to 3 holds nothing"),
        ("{above: 3.5}", "{above: hot}", '"hot" is not a number'),
        ("mode: auto}}", "mode: atuo}}", '"atuo" is not one of hand, auto — did you mean auto?'),
        ("debounce: 2", "debounce: -1", "must be at least 0"),
        ("idle: {item_state: not", "4: {item_state: not", "a derived state is a word"),
        ("effect: start", "effect: strat", "did you mean start?"),
        ("[not_executing]", "[not_executng]", "did you mean not_executing?"),
        ("[not_executing]", "[]", "writes.go.item_states: needs at least 1, has 0"),
        ("interval: 30", "interval: 0", "must be greater than 0"),
        ("two_people: true", "two_people: maybe", '"maybe" is not true or false'),
        ("two_people: true", "twopeople: true", "did you mean two_people?"),
    ],
)
def test_single_mistakes(old: str, new: str, message: str) -> None:
    assert old in RETROFIT
    assert message in "\n".join(problems(RETROFIT.replace(old, new, 1)))


def test_an_item_state_needs_something_that_shows_the_state() -> None:
    text = RETROFIT[: RETROFIT.index("states:")] + RETROFIT[RETROFIT.index("writes:") :]
    assert "no tag has the role state, and derive gives none either" in "\n".join(problems(text))


def test_wrong_fields_wrong_combinations_and_wrong_references_come_in_one_run() -> None:
    text = (
        RETROFIT.replace("type: float32, unit: A", "type: flaot32, unit: A")
        .replace("length: 6", "length: 6, scale: 2")
        .replace("max: 9999", "max: 99999")
        .replace("when: {red: true}", "when: {rde: true}")
        .replace("effect: start", "effect: strat")
        .replace("equals: 7", "equals: seven")
    )
    wrong = ["seven", "flaot32", "2, encod", "99999}", "true}, reason", "strat"]
    text = text.replace("scale: 2", "scale: 2, encoding: ascii")
    assert [line.split("  ")[0].removeprefix("r.yaml:") for line in problems(text)] == [
        place(text, word) for word in wrong
    ]


def place(text: str, word: str) -> str:
    """Line and column of a word, as editors count."""
    at = text.index(word)
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


OPCUA = """\
vendor: A
model: B
protocol: opcua
tags:
  x: {address: "ns=1;s=x", type: float64, field: Position.X}
  remote: {address: "ns=1;s=r", type: bool, role: remote_enabled}
methods:
  start: {object: "ns=1;i=1", method: "ns=1;i=2", inputs: {job: string, lot: uint32}, effect: start}
files: {node: "ns=1;i=9"}
"""


def test_opcua_fields_methods_and_files() -> None:
    profile = load(OPCUA)
    assert isinstance(profile, OpcuaProfile)
    assert profile.tags["x"].field == "Position.X"
    rule = profile.methods["start"]
    assert list(rule.inputs) == ["job", "lot"]
    assert rule.refusal({"job": "J1", "lot": 5}) is None
    assert rule.refusal({"job": "J1"}) == "the argument lot (uint32) is missing"
    assert rule.refusal({"job": 7, "lot": 5}) == "argument job: 7 is not a string"
    assert rule.refusal({"jbo": "J1", "lot": 5}) == (
        'argument "jbo" is not one of job, lot — did you mean job?'
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Position.X", "Position..X", "does not match"),
        ("type: float64, field: Position.X", "type: string, encoding: gb18030", "UTF-8 always"),
        ("Position.X", "Position.X, index: -1", "must be at least 0"),
        ('object: "ns=1;i=1"', 'object: "Jobs"', "is not an OPC UA node"),
        ("lot: uint32", "lot: unit32", "did you mean uint32?"),
        ("role: remote_enabled", "unit: x", "methods.start.effect: a start needs the machine's leave"),
        ('node: "ns=1;i=9"', 'path: /mnt/nc, node: "ns=1;i=9"', "either path or node"),
        ('node: "ns=1;i=9"', "", "files: needs a path or a node"),
        ('node: "ns=1;i=9"', "node: 7", "is not text"),
    ],
)
def test_opcua_mistakes(old: str, new: str, message: str) -> None:
    assert old in OPCUA
    assert message in "\n".join(problems(OPCUA.replace(old, new, 1)))


def test_the_example_of_the_page_on_writing_is_right() -> None:
    page = (Path(__file__).parents[3] / "docs" / "writing.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    profile = check_profile(parse(example, "writing.md"))
    assert isinstance(profile, OpcuaProfile)
    assert profile.jobs is not None
    assert profile.jobs.methods()["jobs/start"].effect is Effect.START
    assert profile.jobs.methods()["jobs/store"].effect is Effect.PARAMETER

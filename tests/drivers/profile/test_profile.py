"""Profiles: what an integrator writes, right and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.modbus.profile import Address, ModbusProfile, Table, parse_address
from drivers.opcua.profile import NodeAddress, OpcuaProfile, parse_node
from drivers.profile.files import check_profile, find_profiles, load_profile
from drivers.profile.profile import AnyProfile, FirmwareRange, Role, WriteRule
from protocols.documents import DocumentError, parse
from protocols.states import ItemState, OperationMode
from protocols.values import DataType, Value

PRESS = """\
vendor: Acme
model: Press 40
protocol: modbus
modbus: {word_order: CDAB, max_registers: 60}
tags:
  state: {address: 40001, type: uint16, role: state, enum: {0: idle, 1: run, 7: tooling}}
  load: {address: "holding:10", type: int16, scale: 0.1, unit: "%", role: spindle_load, deadband: 0.5}
  target: {address: "holding:12", type: float32, access: read-write}
states:
  idle: {item_state: not_executing}
  run: {item_state: executing}
  7: {item_state: not_executing, mode: setup, reason: tool-change}
writes:
  target: {min: 0, max: 10, precondition: {tag: state, equals: 0}}
"""


def load(text: str) -> AnyProfile:
    return check_profile(parse(text, "press.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_profile_gets_the_schema_of_its_protocol() -> None:
    profile = load(PRESS)
    assert isinstance(profile, ModbusProfile)
    assert profile.tags["state"].place == Address(Table.HOLDING, 0)
    assert profile.tag_with(Role.SPINDLE_LOAD) == "load"
    assert profile.tags["load"].value_type is DataType.FLOAT64
    opcua = load('vendor: A\nmodel: B\nprotocol: opcua\ntags: {x: {address: "i=2258", type: string}}')
    assert isinstance(opcua, OpcuaProfile)


@pytest.mark.parametrize(
    ("raw", "item", "mode"),
    [
        (0, ItemState.NOT_EXECUTING, OperationMode.PROCESSING),
        (1, ItemState.EXECUTING, OperationMode.PROCESSING),
        ("run", ItemState.EXECUTING, OperationMode.PROCESSING),
        (7, ItemState.NOT_EXECUTING, OperationMode.SETUP),
    ],
)
def test_raw_states_are_looked_up_by_number_or_word(raw: Value, item: ItemState, mode: OperationMode) -> None:
    state = load(PRESS).state_of(raw)
    assert state is not None
    assert (state.item_state, state.mode) == (item, mode)


@pytest.mark.parametrize("raw", [99, "nothing", None, 0.5])
def test_an_unlisted_state_means_nothing(raw: Value) -> None:
    assert load(PRESS).state_of(raw) is None


def test_every_mistake_is_reported_at_once_even_between_the_parts() -> None:
    text = (
        PRESS.replace("spindle_load", "spindel_load")
        .replace("uint16", "uint61")
        .replace("  target: {min: 0", "  tarrget: {min: 0")
        .replace("tag: state", "tag: sate")
        .replace("word_order: CDAB", "word_order: CBAD")
    )
    found = [line.split("  ", 1) for line in problems(text)]
    assert [place.removeprefix("press.yaml:") for place, _ in found] == [
        "4:22",
        "6:33",
        "7:75",
        "14:12",
        "14:50",
    ]
    assert [message.split(":")[0] + "…" + message.split("— ")[1] for _, message in found] == [
        "modbus.word_order…did you mean CDAB?",
        "tags.state.type…did you mean uint16?",
        "tags.load.role…did you mean spindle_load?",
        "writes.tarrget…did you mean target?",
        "writes.tarrget.precondition.tag…did you mean state?",
    ]
    assert '"CBAD" is not one of ABCD, CDAB, BADC, DCBA' in found[0][1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("modbus\nmodbus", "modbsu\nmodbus", "is not one of modbus, opcua, vda5050 — did you mean modbus?"),
        ('"holding:10"', '"holdng:10"', "names no table"),
        ("40001", "50001", "is not a Modbus address"),
        ("40001", "49999999", "is not a Modbus address"),
        ("type: float32, access", "type: string, access", "needs its length"),
        ("scale: 0.1", "scale: 0", "would make every value 0"),
        ("type: int16", "type: bool", "cannot be scaled"),
        ('"holding:12"', '"input:12"', "cannot be written"),
        ("access: read-write", "access: read", "set access: read-write"),
        ("role: state,", "", "no tag has the role state"),
        ("  run: {", "  rnu: {", "did you mean run?"),
        ("type: float32", "type: float32, bit: 3", "a bit is taken from a register"),
        ("type: int16", "type: int16, length: 3", "only a string has a length"),
        ("deadband: 0.5", "deadband: 0.5, deadband_percent: 1", "not both"),
        ('"holding:10"', '"holding:65536"', "outside 0 to 65535"),
        ('"holding:12"', '"holding:65535"', "reach beyond 65535"),
        ("type: float32, access", "type: string, length: 200, access", "more than max_registers 60"),
        ("item_state: executing", "item_state: runing", "is not one of executing"),
        ("load: {address", "lo ad: {address", "does not match"),
    ],
)
def test_single_mistakes(old: str, new: str, message: str) -> None:
    assert old in PRESS
    assert message in "\n".join(problems(PRESS.replace(old, new)))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("holding:100", Address(Table.HOLDING, 100)),
        ("input:0x1F", Address(Table.INPUT, 31)),
        ("coil:0", Address(Table.COIL, 0)),
        ("40001", Address(Table.HOLDING, 0)),
        ("400001", Address(Table.HOLDING, 0)),
        ("465536", Address(Table.HOLDING, 65535)),
        ("30010", Address(Table.INPUT, 9)),
        ("10001", Address(Table.DISCRETE, 0)),
        ("00001", Address(Table.COIL, 0)),
    ],
)
def test_modbus_addresses(text: str, place: Address) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize(
    "text", ["", "4000", "40000", "holding", "holding:", "holding:-1", "holding:1.5", "20001"]
)
def test_wrong_modbus_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("i=2258", NodeAddress(None, 0, 2258)),
        ("ns=3;s=A;B=C", NodeAddress(None, 3, "A;B=C")),
        ("nsu=http://x/y;i=7", NodeAddress("http://x/y", 0, 7)),
        ("nsu=urn:a;s=x", NodeAddress("urn:a", 0, "x")),
    ],
)
def test_opcua_addresses(text: str, node: NodeAddress) -> None:
    assert parse_node(text) == node


@pytest.mark.parametrize("text", ["", "State", "i=x", "ns=a;i=1", "g=123", "i=4294967296", "s="])
def test_wrong_opcua_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_node(text)


def test_namespaces_by_number_are_the_profile_s_own() -> None:
    text = """\
vendor: A
model: B
protocol: opcua
opcua: {namespaces: ["urn:one", "urn:two"]}
tags:
  a: {address: "ns=2;s=x", type: string}
  b: {address: "ns=3;s=x", type: string}
"""
    assert problems(text) == ["press.yaml:7:16  tags.b.address: ns=3, but opcua.namespaces has only 2"]
    profile = load(text.replace("ns=3", "ns=1"))
    assert isinstance(profile, OpcuaProfile)
    assert profile.place(profile.tags["a"]) == NodeAddress("urn:two", 0, "x")


@pytest.mark.parametrize(
    ("rule", "value", "refusal"),
    [
        (WriteRule(min=0, max=10), 5, None),
        (WriteRule(min=0, max=10), 10.1, "10.1 is above the maximum 10"),
        (WriteRule(min=0), -1, "-1 is below the minimum 0"),
        (WriteRule(max=3), True, "true is not a number"),
        (WriteRule(allowed=("A", "B")), "C", '"C" is not one of A, B'),
        (WriteRule(allowed=(1, 2)), 2, None),
        (WriteRule(), "anything", None),
    ],
)
def test_write_rules(rule: WriteRule, value: Value, refusal: str | None) -> None:
    assert rule.refusal(value) == refusal


@pytest.mark.parametrize(
    ("version", "inside"), [("2.8", True), ("2.9.4", True), ("3.1.7", True), ("3.2", False), ("2.7.9", False)]
)
def test_firmware_ranges(version: str, inside: bool) -> None:
    assert FirmwareRange(min="2.8", max="3.1").holds(version) is inside


def test_profiles_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    file = tmp_path / "acme" / "press-40.yaml"
    file.write_text(PRESS)
    assert find_profiles(tmp_path) == {"acme/press-40": file}
    assert load_profile(file) == load(PRESS)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (
            '{address: "holding:20", type: uint16, role: state}',
            'x.role: the tag "state" has the role state already',
        ),
        ('{address: "holding:20", type: float32, scale: .inf}', "x.scale: inf is not a finite number"),
        ('{address: "holding:20", type: float32, offset: .nan}', "x.offset: nan is not a finite number"),
        ("{address: coil:1, type: bool, deadband: 2}", "x.deadband: a bool has no deadband"),
        ('{address: "holding:20", type: float32, enum: {1: a}}', "x.enum: words stand for whole numbers"),
        ('{address: "holding:20", type: int16, scale: 2, enum: {1: a}}', "not for a scaled value"),
        ("{address: coil:1, type: bool, role: part_count}", "x.role: a part_count is a number, not a bool"),
    ],
)
def test_a_tag_that_makes_no_sense(tag: str, message: str) -> None:
    (found,) = problems(PRESS.replace("states:", f"  x: {tag}\nstates:"))
    assert message in found
    assert found.startswith("press.yaml:9:")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{min: 10, max: 5}", "target.max: 5 is below min 10"),
        ("{allowed: [1, fast]}", 'target.allowed.1: "fast" is never a float32'),
        (
            "{precondition: {tag: state, equals: true}}",
            "equals: true is never a uint16: it would never be met",
        ),
    ],
)
def test_a_write_rule_that_could_never_hold(rule: str, message: str) -> None:
    text = PRESS[: PRESS.index("  target: {min")] + f"  target: {rule}\n"
    (found,) = problems(text)
    assert message in found


@pytest.mark.parametrize(
    ("state", "states", "message"),
    [
        (
            "type: uint16, role: state",
            "idle: {item_state: executing}",
            "give the tag with role state an enum",
        ),
        (
            "type: float32, role: state",
            "1: {item_state: executing}",
            "a float32 cannot be looked up in states",
        ),
        ("type: string, length: 4, role: state", "1: {item_state: executing}", "put its text in quotes"),
    ],
)
def test_states_that_could_never_be_looked_up(state: str, states: str, message: str) -> None:
    head = "vendor: A\nmodel: B\nprotocol: modbus\n"
    (found,) = problems(f"{head}tags:\n  s: {{address: 40001, {state}}}\nstates:\n  {states}\n")
    assert message in found


def test_every_profile_that_comes_with_the_product_is_right() -> None:
    found = find_profiles(Path(__file__).parents[3] / "firmware_configs" / "profiles")
    assert found
    for path in found.values():
        load_profile(path)

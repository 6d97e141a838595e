"""Arrays and templates: what they stand for, and where their mistakes are said to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.profile import ModbusProfile, ModbusTag
from drivers.opcua.profile import OpcuaProfile
from drivers.profile.expand import expand
from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile
from protocols.documents import DocumentError, parse

HEAD = "vendor: A\nmodel: B\nprotocol: {}\n"
METER = HEAD.format("modbus") + (
    """\
templates:
  phase:
    at: {l1: 0, l2: 2, l3: 4}
    tags:
      voltage: {address: "input:0", type: float32, unit: V, role: voltage}
      current: {address: 30007, type: float32, unit: A}
tags:
  relay: {address: "coil:3", type: bool, count: 3}
  alarm: {address: "holding:5", type: bool, bit: 14, count: 4}
  name: {address: "holding:40", type: string, length: 5, count: 2}
"""
)


def load(text: str) -> AnyProfile:
    return check_profile(parse(text, "m.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_templates_and_arrays_become_tags_at_the_places_of_their_protocol() -> None:
    profile = load(METER)
    assert isinstance(profile, ModbusProfile)
    found = {name: (str(tag.place.table), tag.place.offset, tag.bit) for name, tag in profile.tags.items()}
    assert found == {
        "relay/0": ("coil", 3, None),
        "relay/1": ("coil", 4, None),
        "relay/2": ("coil", 5, None),
        "alarm/0": ("holding", 5, 14),
        "alarm/1": ("holding", 5, 15),
        "alarm/2": ("holding", 6, 0),
        "alarm/3": ("holding", 6, 1),
        "name/0": ("holding", 40, None),
        "name/1": ("holding", 43, None),
        "l1/voltage": ("input", 0, None),
        "l1/current": ("input", 6, None),
        "l2/voltage": ("input", 2, None),
        "l2/current": ("input", 8, None),
        "l3/voltage": ("input", 4, None),
        "l3/current": ("input", 10, None),
    }
    assert profile.tags["l3/voltage"].unit == "V"


def test_a_tag_of_a_template_names_another_one_of_its_own_place() -> None:
    profile = load(
        HEAD.format("modbus")
        + """\
templates:
  module:
    at: {m1: 0, m2: 10}
    tags:
      watts: {address: "holding:0", type: int16, scale_exponent: w_sf}
      w_sf: {address: "holding:1", type: int16}
      volts: {address: "holding:2", type: int16, scale_exponent: common_sf}
tags:
  common_sf: {address: "holding:90", type: int16}
"""
    )
    assert isinstance(profile, ModbusProfile)
    assert {name: tag.scale_exponent for name, tag in profile.tags.items() if tag.scale_exponent} == {
        "m1/watts": "m1/w_sf",
        "m1/volts": "common_sf",
        "m2/watts": "m2/w_sf",
        "m2/volts": "common_sf",
    }


def test_opcua_templates_fill_the_address_and_arrays_take_elements() -> None:
    profile = load(
        HEAD.format("opcua")
        + """\
templates:
  axis:
    at: {x: X, z: "3"}
    tags:
      load: {address: "ns=1;s=Axis.{}.Load", type: float64}
tags:
  tool: {address: "ns=1;s=Tools", type: uint16, count: 2}
  slot: {address: "ns=1;i=70{}", type: uint16, count: 2}
"""
    )
    assert isinstance(profile, OpcuaProfile)
    assert {name: (tag.address, tag.index) for name, tag in profile.tags.items()} == {
        "tool/0": ("ns=1;s=Tools", 0),
        "tool/1": ("ns=1;s=Tools", 1),
        "slot/0": ("ns=1;i=700", None),
        "slot/1": ("ns=1;i=701", None),
        "x/load": ("ns=1;s=Axis.X.Load", None),
        "z/load": ("ns=1;s=Axis.3.Load", None),
    }


def test_a_mistake_in_a_template_is_said_once_where_it_was_written() -> None:
    text = METER.replace("unit: V", "uint: V").replace("type: float32, unit: A", "type: flaot32, unit: A")
    assert problems(text) == [
        'm.yaml:8:52  templates.phase.tags.voltage: unknown key "uint" — did you mean unit?',
        'm.yaml:9:39  templates.phase.tags.current.type: "flaot32" is not one of bool, int16, uint16, int32, '
        "uint32, int64, uint64, float32, float64, string — did you mean float32?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("l3: 4", "l3: 70000", "6:28", "templates.phase.at.l3: voltage: input:0 + 70000 lies outside"),
        ("l3: 4", "l3: X", "6:28", 'templates.phase.at.l3: voltage: "X" is not a number to add'),
        ("l3: 4", "l3: 4.5", "6:28", "templates.phase.at.l3: 4.5"),
        ("at: {l1: 0, l2: 2, l3: 4}", "at: {}", "6:9", "templates.phase.at: needs at least 1, has 0"),
        ("count: 3", "count: 0", "11:49", "tags.relay.count: 0 must be at least 1"),
        ("count: 3", "count: many", "11:49", 'tags.relay.count: "many" is not a whole number'),
        ('"coil:3"', '"coil:65534"', "11:53", "tags.relay.count: element 2: coil:65534 + 2 lies outside"),
        (
            'relay: {address: "coil:3", type: bool, count: 3}',
            'l1/voltage: {address: "coil:3", type: bool}',
            "8:16",
            "templates.phase.tags.voltage: makes the tag",
        ),
    ],
)
def test_what_cannot_be_expanded_says_why(old: str, new: str, place: str, message: str) -> None:
    assert old in METER
    found = problems(METER.replace(old, new, 1))
    assert any(line.startswith(f"m.yaml:{place} ") and message in line for line in found), found


def test_mistakes_of_fields_combinations_and_expansion_come_in_one_run() -> None:
    text = METER.replace("l3: 4", "l3: 70000").replace("unit: V", "deadband: 1, deadband_percent: 1, unit: V")
    text = text.replace("type: string, length: 5", "type: string, scale: 2, rol: state")
    found = "\n".join(problems(text))
    for message in ("lies outside", "not both", "cannot be scaled", 'unknown key "rol"', "needs its length"):
        assert message in found


def test_a_profile_made_without_a_file_expands_as_well_and_its_dump_is_the_same_profile() -> None:
    data = parse(METER, "m.yaml").data
    profile = ModbusProfile.model_validate(data)
    assert profile.tags == load(METER).tags
    again = ModbusProfile.model_validate(profile.model_dump())
    assert again.tags == profile.tags


@given(
    st.dictionaries(
        st.sampled_from(["a", "b/c", "d"]),
        st.fixed_dictionaries(
            {"address": st.sampled_from(["holding:1", 40009, "coil:2", "junk"]), "type": st.just("bool")},
            optional={"count": st.one_of(st.integers(-1, 4), st.booleans(), st.text(max_size=2))},
        ),
        max_size=3,
    ),
    st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from(["t", "u"]),
            st.one_of(
                st.none(),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "at": st.dictionaries(st.sampled_from(["a", "x"]), st.integers(0, 9), max_size=2),
                        "tags": st.dictionaries(
                            st.sampled_from(["c", "d"]),
                            st.one_of(st.none(), st.just({"address": "holding:1", "type": "uint16"})),
                            max_size=2,
                        ),
                    },
                ),
            ),
            max_size=2,
        ),
    ),
)
def test_expanding_twice_changes_nothing_and_nothing_makes_it_fail(tags: Any, templates: Any) -> None:
    once = expand({"tags": tags, "templates": templates}, ModbusTag)
    assert expand(once.data, ModbusTag).data == once.data


@pytest.mark.parametrize("data", [None, [], "x", {}, {"tags": None}, {"tags": []}, {"templates": 3}])
def test_data_that_is_no_profile_stays_what_it_is(data: Any) -> None:
    assert expand(data, ModbusTag).data == data

"""What was picked, as a profile: names, namespaces, and what cannot be a tag."""

from __future__ import annotations

import pytest

from drivers.driver import Identity
from drivers.opcua.profile import OpcuaProfile
from drivers.profile.profile import WordOrder
from edge.commission.browse.picking import Pick, folded, named, profile_of
from protocols.documents import loads
from protocols.values import DataType


def pick(address: str, *names: str, **more: object) -> Pick:
    return Pick(address, names, DataType.INT32, **more)  # type: ignore[arg-type]


def test_names_are_as_short_as_they_can_be_and_unique() -> None:
    picks = [
        pick("i=1", "Mill", "Axis X", "Position"),
        pick("i=2", "Mill", "Axis Y", "Position"),
        pick("i=3", "Mill", "Speed"),
        pick("i=4", "Mill", "Speed"),
        pick("i=5", "Mill", "Speed_2"),
        pick("i=6", "Mill", "温度"),
        pick("i=7", "a/b", "Länge (mm)"),
    ]
    assert list(named(picks)) == [
        "Axis_X/Position",
        "Axis_Y/Position",
        "Mill/Speed",
        "Mill/Speed_2",
        "Speed_2",
        "i_6",
        "Laenge_mm",
    ]


def test_namespaces_are_folded_unless_an_index_stands_there() -> None:
    given = ["nsu=urn:a;s=x;y", "i=2258", "nsu=urn:b;i=7", "nsu=urn:a;s=z"]
    uris, short = folded(given)
    assert uris == ["urn:a", "urn:b"]
    assert list(short.values()) == ["ns=1;s=x;y", "i=2258", "ns=2;i=7", "ns=1;s=z"]
    assert folded([*given, "ns=9;i=1"]) == ([], {a: a for a in [*given, "ns=9;i=1"]})


def test_a_profile_says_who_made_the_machine_and_what_was_not_taken() -> None:
    picks = [
        pick("nsu=urn:a;s=x", "x", writable=True),
        pick("nsu=urn:a;s=y", "y", detail="array", count=3),
        pick("nsu=urn:a;s=e", "e", detail="array"),
        Pick("nsu=urn:a;s=s", ("s",), None, detail="type nsu=urn:a;i=3001"),
    ]
    written = profile_of(picks, "opcua", Identity("Acme", "M 5"), source="browsed")
    made = loads(written.text, OpcuaProfile, "made")
    assert (made.vendor, made.model, made.identification.product) == ("Acme", "M 5", "M 5")
    assert set(made.tags) == {"x", "y/0", "y/1", "y/2"}
    assert (made.tags["x"].writable, made.tags["x"].sampling, made.writes) == (True, 1.0, {})
    assert written.rejected == [
        "e (nsu=urn:a;s=e) is an array without elements now",
        "s (nsu=urn:a;s=s) has the type nsu=urn:a;i=3001: name a field of it by hand (field)",
    ]
    unknown = loads(profile_of(picks, "opcua", Identity(), source="").text, OpcuaProfile, "made")
    assert (unknown.vendor, unknown.identification.vendor) == ("unknown", None)


def test_word_orders_and_lengths_are_written() -> None:
    picks = [
        Pick("input:0", ("power",), DataType.FLOAT32, order=WordOrder.CDAB),
        Pick("input:9", ("serial",), DataType.STRING, length=16),
    ]
    text = profile_of(picks, "modbus", Identity(), source="", defaults={"modbus": {"unit": 9}}).text
    assert "power: {address: input:0, type: float32, word_order: CDAB, sampling: 1}" in text
    assert "serial: {address: input:9, type: string, length: 16, sampling: 1}" in text
    assert "unit: 9" in text


def test_nothing_picked_is_no_profile() -> None:
    with pytest.raises(ValueError, match="no variable is picked"):
        profile_of([], "opcua", Identity(), source="")

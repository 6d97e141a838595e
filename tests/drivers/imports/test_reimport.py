"""A list that comes again: the profile follows it, and nothing that a person wrote is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import Result

from drivers.imports.merging import Change, Kind, merge
from drivers.profile.files import load_profile
from tests.drivers.imports.test_golden_imports import run

FIRST = """Name,Address,Type,Unit
speed,40001,Real,rpm
load,40003,Word,%
door,10001,Bool,
old,40010,Int,
oldtoo,40011,Int,
"""
SECOND = """Name,Address,Type,Unit
speed,40001,Real,1/min
load,40005,Word,%
door,10001,Bool,
fresh,40020,DInt,kg
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text(FIRST)
    assert run("csv", "list.csv", "--vendor", "A", "--model", "B").exit_code == 0
    return tmp_path


def again(folder: Path, text: str = SECOND, *more: str) -> Result:
    (folder / "list.csv").write_text(text)
    return run("csv", "list.csv", *more)


def edit(folder: Path, *changes: tuple[str, str]) -> None:
    profile = folder / "list.yaml"
    text = profile.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    profile.write_text(text, "utf-8")


def test_what_nobody_edited_follows_the_list(folder: Path) -> None:
    result = again(folder)
    assert "+ fresh" in result.output
    assert "~ speed: unit rpm → 1/min" in result.output
    assert "~ load: address holding:2 → holding:4" in result.output
    assert "- old" in result.output
    assert "wrote list.yaml: 1 added, 2 changed, 2 removed, 0 kept, 0 not taken" in result.output
    profile = load_profile(folder / "list.yaml")
    assert set(profile.tags) == {"speed", "load", "door", "fresh"}
    assert profile.tags["load"].address == "holding:4"


def test_edits_comments_and_own_tags_stay(folder: Path) -> None:
    edit(
        folder,
        ("unit: rpm}", "unit: U/min, role: speed, deadband: 5}  # agreed with the shift"),
        ("vendor: A", "vendor: A  # the real one\nverified: simulator"),
        ("type: int16}\n  oldtoo", "type: int16, scale: 0.1}\n  oldtoo"),
        ("tags:\n", 'tags:\n  own: {address: "holding:900", type: uint16}\n'),
    )
    result = again(folder)
    assert "= speed: unit U/min is kept as edited by hand, the list says 1/min" in result.output
    assert "= old: the tag is kept as edited by hand" in result.output
    text = (folder / "list.yaml").read_text("utf-8")
    assert "# agreed with the shift" in text
    assert "vendor: A  # the real one" in text
    tags = load_profile(folder / "list.yaml").tags
    assert (tags["speed"].unit, tags["speed"].deadband, tags["load"].address) == ("U/min", 5, "holding:4")
    assert {"own", "old", "fresh"} <= set(tags)
    assert "oldtoo" not in tags


def test_a_tag_deleted_by_hand_does_not_come_back(folder: Path) -> None:
    edit(folder, ("  door: {address: discrete:0, type: bool}\n", ""))
    assert "door" not in again(folder).output
    assert "door" not in load_profile(folder / "list.yaml").tags


def test_without_a_record_everything_counts_as_written_by_hand(folder: Path) -> None:
    (folder / "list.imported.json").unlink()
    result = again(folder)
    assert "= load: address holding:2 is kept as edited by hand, the list says holding:4" in result.output
    tags = load_profile(folder / "list.yaml").tags
    assert {"old", "fresh"} <= set(tags)
    assert tags["load"].address == "holding:2"


def test_a_dry_run_says_the_same_and_writes_nothing(folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.glob("list.*") if p.suffix != ".csv"}
    dry = again(folder, SECOND, "--dry-run").output
    assert {p: p.read_bytes() for p in before} == before
    assert dry.replace("would write", "wrote") == again(folder).output


def test_json_holds_every_difference(folder: Path) -> None:
    found = json.loads(again(folder, SECOND + "bad,D5,Int,\n", "--json").output)
    assert found["added"] == [{"tag": "fresh"}]
    assert {"tag": "speed", "key": "unit", "old": "rpm", "new": "1/min"} in found["changed"]
    assert found["rejected"][0]["line"] == 6
    assert found["rejected"][0]["value"] == "D5"
    assert (found["created"], found["protocol"], found["tags"]) == (False, "modbus", 4)


def test_a_list_of_another_protocol_is_refused(folder: Path) -> None:
    result = again(folder, "Name,Address,Type\nspeed,ns=2;s=Speed,Real\n")
    assert result.exit_code == 1
    assert "is for opcua, but list.yaml is for modbus" in result.output


def test_a_profile_that_is_broken_is_left_alone(folder: Path) -> None:
    edit(folder, ("protocol: modbus", "protocol: modbus\nnonsense: 1"))
    before = (folder / "list.yaml").read_bytes()
    result = again(folder)
    assert result.exit_code == 1
    assert 'unknown key "nonsense"' in result.output
    assert (folder / "list.yaml").read_bytes() == before


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    result = run("csv", "nowhere.csv")
    assert (result.exit_code, result.output.strip()) == (1, "nowhere.csv: No such file or directory")


TAG = st.fixed_dictionaries(
    {"address": st.sampled_from("abc")}, optional={"unit": st.sampled_from("xyz"), "scale": st.just(2)}
)
TAGS = st.dictionaries(st.sampled_from("stuvw"), TAG)


@given(TAGS, TAGS, TAGS)
def test_a_merge_follows_the_list_and_loses_nothing(mine: dict, base: dict, theirs: dict) -> None:  # type: ignore[type-arg]
    merged = {name: dict(tag) for name, tag in mine.items()}
    changes = merge(mine, base, theirs)
    for change in changes:
        _do(merged, change)
    for name in {*mine, *base, *theirs}:
        m, b, t = mine.get(name), base.get(name), theirs.get(name)
        if m == b:  # nobody edited it: the list decides
            assert merged.get(name) == t
        elif t == b:  # the list did not change: the person decides
            assert merged.get(name) == m
        elif m is not None and m != t:  # both: every key that the person changed stays
            edited = {k for k in {*m, *(b or {})} if m.get(k) != (b or {}).get(k)}
            assert all(merged[name].get(k) == m.get(k) for k in edited)
    assert merge(merged, theirs, theirs) == [c for c in merge(merged, theirs, theirs) if c.kind is Kind.KEPT]


def _do(tags: dict[str, dict[str, object]], change: Change) -> None:
    if change.kind is Kind.ADDED:
        tags[change.tag] = dict(change.new)
    elif change.kind is Kind.REMOVED:
        del tags[change.tag]
    elif change.kind is Kind.CHANGED and change.new is None:
        del tags[change.tag][change.key]
    elif change.kind is Kind.CHANGED:
        tags[change.tag][change.key] = change.new

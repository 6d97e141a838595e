"""Whatever stands in a profile, what is wrong is said: no other exception comes out."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.profile.files import check_profile, find_profiles
from protocols.documents import Document, DocumentError, read

ROOT = Path(__file__).parents[3]
NAMES = (
    "example/press",
    "retrofit/io-block",
    "opcfoundation/packml",
    "sunspec/meter-single-phase",
    "eastron/sdm630",
)
PROFILES = {
    name: read(path).data
    for name, path in find_profiles(ROOT / "firmware_configs" / "profiles").items()
    if name in NAMES
}
PROFILES["everything"] = {
    "vendor": "A",
    "model": "B",
    "protocol": "opcua",
    "firmware": {"min": "1", "max": "2"},
    "identification": {"firmware": "v", "checks": [{"address": "i=1", "type": "string", "equals": "x"}]},
    "templates": {"axis": {"at": {"x": "X"}, "tags": {"load": {"address": "ns=1;s={}", "type": "float64"}}}},
    "tags": {
        "v": {"address": "i=3", "type": "string"},
        "remote": {"address": "i=4", "type": "bool", "role": "remote_enabled"},
        "n": {"address": "i=5", "type": "uint16", "count": 3, "counter": {"max": 9}},
        "go": {"address": "i=6", "type": "bool", "access": "read-write", "enum": {0: "a", 1: "b"}},
    },
    "states": {"on": {"item_state": "executing"}},
    "derive": {"state": {"rules": [{"state": "on", "when": {"n/0": {"above": 1}}}], "otherwise": "on"}},
    "writes": {"go": {"effect": "start", "precondition": {"tag": "v", "equals": "x"}, "allowed": [True]}},
    "methods": {"m": {"object": "i=1", "method": "i=2", "inputs": {"a": "string"}}},
    "jobs": {"object": "i=1", "allow": ["store", "start"]},
    "files": {"node": "i=9"},
}
NUMBERS = [0, -1, 1.5, float("nan"), float("inf"), 10**30]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, *NUMBERS, "", "x", "i=1", [], [[]], {}, {"a": {}}, {1: 2}]
)


def places(data: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and item of plain data."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*here, key)
        yield from places(value, (*here, key))


def test_the_profiles_are_there() -> None:
    assert set(PROFILES) == {*NAMES, "everything"}
    check_profile(Document("everything", PROFILES["everything"], None))


@pytest.mark.parametrize("name", [*NAMES, "everything"])
@given(data=st.data())
def test_junk_anywhere_is_an_error_of_the_document(name: str, data: st.DataObject) -> None:
    profile = copy.deepcopy(PROFILES[name])
    for place in data.draw(st.lists(st.sampled_from(list(places(profile))), min_size=1, max_size=2)):
        inner = profile
        try:
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier one took it away
        if data.draw(st.booleans()):
            inner[place[-1]] = data.draw(JUNK)
        elif isinstance(inner, dict):
            inner[data.draw(st.sampled_from(["x", 1, True, None, ""]))] = inner.pop(place[-1])
    with contextlib.suppress(DocumentError):
        check_profile(Document("junk", profile, None))

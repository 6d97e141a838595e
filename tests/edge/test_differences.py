"""What a changed configuration asks of a running edge: pure."""

from pathlib import Path
from typing import Any

import pytest

from edge.config import Setup, load_setup
from edge.differences import Differences, applied_hashes, differences
from tests.edge.test_config import EDGE, PROFILE, SITE, write

CELLS = "the workcells of edge machining in the site"
METER = """\
      - id: meter-1
        asset: 11111111-1111-1111-1111-111111111116
        profile: acme/press
        url: modbus://127.0.0.1:1503
"""


def setup(folder: Path, name: str, **changes: tuple[str, str]) -> Setup:
    """A setup with (old, new) replaced in its edge, site or profile."""
    files = {"edge": EDGE, "site": SITE + METER, "profile": PROFILE}
    for key, (old, new) in changes.items():
        assert old in files[key]
        files[key] = files[key].replace(old, new)
    return load_setup(write(folder / name, **files))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"profile": ("load:", "power:")}, {"changed": ["press-1", "meter-1"]}),
        ({"site": ("1503", "1504")}, {"changed": ["meter-1"]}),
        ({"site": ("1111111116", "1111111119")}, {"relabelled": ["meter-1"]}),
        ({"site": (METER, "")}, {"removed": ["meter-1"]}),
        ({"site": ("id: meter-1", "id: meter-2")}, {"added": ["meter-2"], "removed": ["meter-1"]}),
        ({"site": ("title: Press", "title: Big press")}, {"restart": [CELLS]}),
        ({"edge": ("broker.local", "broker.other")}, {"restart": ["broker in edge.yaml"]}),
    ],
)
def test_only_what_differs_is_touched(
    tmp_path: Path, changes: dict[str, tuple[str, str]], expected: dict[str, Any]
) -> None:
    started, wanted = setup(tmp_path, "a"), setup(tmp_path, "b", **changes)
    # The two lie in different folders: that alone would need a restart.
    config = wanted.config.model_copy(update={"data": started.config.data})
    wanted = Setup(config, wanted.site, wanted.edge, wanted.machines, wanted.sources)
    running = {machine.device.id: machine for machine in started.machines}
    found = differences(started, running, wanted, {})
    shown = {name: ids for name in Differences.__slots__ if (ids := _ids(getattr(found, name)))}
    assert shown == expected
    assert found.is_empty == (set(expected) <= {"restart"})


def _ids(found: Any) -> list[str]:
    return [each if isinstance(each, str) else each.device.id for each in found]


def test_what_failed_is_not_tried_again_before_it_changes(tmp_path: Path) -> None:
    started = setup(tmp_path, "a")
    running = {machine.device.id: machine for machine in started.machines}
    wrong = setup(tmp_path, "b", site=("1503", "1599"))
    failed = {"meter-1": next(m for m in wrong.machines if m.device.id == "meter-1")}
    assert _ids(differences(started, running, wrong, failed).rejected) == ["meter-1"]
    other = setup(tmp_path, "c", site=("1503", "1600"))
    assert _ids(differences(started, running, other, failed).changed) == ["meter-1"]
    assert not _ids(differences(started, running, started, failed).rejected)


def test_a_file_that_is_not_applied_as_a_whole_keeps_its_old_hash(tmp_path: Path) -> None:
    started = setup(tmp_path, "a")
    running = {machine.device.id: machine for machine in started.machines}
    wanted = setup(tmp_path, "b", site=("1503", "1599"))
    asked = {machine.device.id: machine for machine in wanted.machines}
    before = {"edge": "1", "site": "2", "profile:acme/press": "3"}
    after = {"edge": "4", "site": "5", "profile:acme/press": "6"}
    assert applied_hashes(before, after, running, asked) == {**after, "site": "2"}
    assert applied_hashes(before, after, asked, asked) == after

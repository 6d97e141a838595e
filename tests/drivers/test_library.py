"""The profile library: right by its sources, served by the simulator, decoded by others than us."""

from __future__ import annotations

import asyncio
import importlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from drivers.derive import state_word
from drivers.imports.sunspec import import_sunspec
from drivers.imports.taglist import CannotImport
from drivers.modbus.profile import ModbusProfile
from drivers.profile.files import check_profile, find_profiles, load_profile
from drivers.profile.profile import AnyProfile
from drivers.registry import driver_type
from drivers.simulator import Movement
from protocols.documents import Document, read
from protocols.values import Value

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "firmware_configs" / "profiles"
OURS = ("virtual/", "example/")
"""Not of real devices."""
LIBRARY = {name: path for name, path in find_profiles(FOLDER).items() if not name.startswith(OURS)}
SUNSPEC = {
    "inverter-single-phase": 101,
    "inverter-three-phase": 103,
    "inverter-three-phase-float": 113,
    "meter-single-phase": 201,
    "meter-three-phase": 203,
}


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_profile_says_where_it_is_from_and_what_it_was_tried_on(name: str) -> None:
    profile = load_profile(LIBRARY[name])
    assert len(profile.source) > 40
    assert profile.verified == "simulator"
    assert "not tried on a" in profile.source.lower() or name.startswith("vda5050/"), "say what is unverified"
    assert profile.description or name.startswith("sunspec/")


def row(name: str, profile: AnyProfile) -> str:
    """A profile as the documents list it."""
    what = f"{profile.vendor} {profile.model}".replace("|", "/")
    return f"| `{name}` | {what} | {profile.protocol} | {len(profile.tags)} | {profile.verified} |"


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_the_library_s_page_lists_every_profile_as_it_is(name: str) -> None:
    assert row(name, load_profile(LIBRARY[name])) in (ROOT / "docs" / "library.md").read_text("utf-8")


def test_the_library_s_page_lists_nothing_else() -> None:
    page = (ROOT / "docs" / "library.md").read_text("utf-8")
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")} == set(LIBRARY)


# --- SunSpec --------------------------------------------------------------------------------------------


def definition(model: int) -> str:
    return (resources.files("sunspec2") / "models" / "json" / f"model_{model}.json").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(SUNSPEC))
def test_a_sunspec_profile_is_what_the_definitions_say(name: str) -> None:
    found = import_sunspec([definition(1), definition(SUNSPEC[name])])
    written = read(FOLDER / "sunspec" / f"{name}.yaml").data
    assert written["tags"] == found.tags
    assert written["identification"] == found.defaults["identification"]
    assert written["identification"]["firmware"] == "common/Vr"
    assert written["identification"] == found.defaults["identification"]
    assert found.rejected == []


def _decode(port: int) -> dict[str, dict[str, Any]]:
    """What pysunspec2 makes of the device: every point of every model it finds by itself."""
    client = importlib.import_module("sunspec2.modbus.client")
    device = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=10)
    try:
        device.scan()
        models: dict[str, dict[str, Any]] = {}
        for model in device.model_list:
            points = {point: getattr(model, point).cvalue for point in model.points}
            models[model.gname] = points
        return models
    finally:
        device.close()


@pytest.mark.parametrize("name", sorted(SUNSPEC))
async def test_pysunspec2_reads_from_our_simulator_what_we_read(name: str) -> None:
    profile = load_profile(FOLDER / "sunspec" / f"{name}.yaml")
    assert isinstance(profile, ModbusProfile)
    server = driver_type("modbus").serve(profile)
    server.update(Movement(profile).values(77.0))
    async with server:
        models = await asyncio.to_thread(_decode, server.port)
        async with driver_type("modbus").create(server.url, profile) as driver:
            readings = {r.path: r.value for r in await driver.read(list(profile.tags))}
    assert len(models) == 2
    compared = 0
    for path, value in readings.items():
        model, _, point = path.partition("/")
        if not point:
            continue
        theirs = models[_model_name(models, model)][point]
        if isinstance(value, float) and theirs is not None:
            assert theirs == pytest.approx(value, rel=1e-6), path
        else:
            assert (theirs or None) == (value or None), path
        compared += 1
    assert compared == len(profile.tags) - 1


async def test_a_chain_with_repeating_parts_is_read_as_pysunspec2_reads_it() -> None:
    with pytest.raises(CannotImport, match=r'model 160 repeats "module": say --repeat 160=N'):
        import_sunspec([definition(1), definition(160), definition(103)])
    found = import_sunspec([definition(1), definition(160), definition(103)], repeats={160: 2})
    data = {"vendor": "A", "model": "B", "protocol": "modbus", **found.defaults, "tags": found.tags}
    profile = check_profile(Document("chain", data, None))
    server = driver_type("modbus").serve(profile)
    server.update(Movement(profile).values(33.0))
    server.set("mppt/N", 2)
    async with server:
        theirs = await asyncio.to_thread(_modules, server.port)
        async with driver_type("modbus").create(server.url, profile) as driver:
            paths = ["mppt/module/0/DCV", "mppt/module/1/DCV", "mppt/module/1/DCW", "inverter_three_phase/W"]
            ours = [r.value for r in await driver.read(paths)]
    assert theirs == pytest.approx(ours)


def _modules(port: int) -> list[Any]:
    client = importlib.import_module("sunspec2.modbus.client")
    device = client.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=10)
    try:
        device.scan()
        first, second = device.models[160][0].module
        return [first.DCV.cvalue, second.DCV.cvalue, second.DCW.cvalue, device.models[103][0].W.cvalue]
    finally:
        device.close()


def _model_name(models: dict[str, dict[str, Any]], prefix: str) -> str:
    return next(name for name in models if name.lower() == prefix)


# --- derived states -------------------------------------------------------------------------------------

ALL_OFF = {"red": False, "yellow": False, "green": False, "cycle": False, "door_closed": True}


@pytest.mark.parametrize(
    ("name", "base", "changes", "state"),
    [
        ("retrofit/io-block", ALL_OFF, {}, "off"),
        ("retrofit/io-block", ALL_OFF, {"green": True, "cycle": True}, "running"),
        ("retrofit/io-block", ALL_OFF, {"green": True}, "waiting"),
        ("retrofit/io-block", ALL_OFF, {"red": True, "green": True, "cycle": True}, "fault"),
        ("retrofit/io-block", ALL_OFF, {"yellow": True, "door_closed": False}, "setup"),
        ("danfoss/fc-302", {"tripped": False, "running": False, "ready": False}, {}, "not_ready"),
        ("danfoss/fc-302", {"tripped": True, "running": True, "ready": True}, {}, "tripped"),
        ("danfoss/fc-302", {"tripped": False, "running": True, "ready": True}, {}, "running"),
        ("opcfoundation/packml", {"base_state": "Aborted"}, {}, "aborted"),
        (
            "opcfoundation/packml",
            {
                "base_state": "Cleared",
                "machine_state": "Running",
                "execute_state": "Execute",
                "blocked": False,
            },
            {},
            "execute",
        ),
        (
            "opcfoundation/packml",
            {"base_state": "Cleared", "machine_state": "Running", "execute_state": "Suspended"},
            {"blocked": False, "starved": True},
            "starved",
        ),
    ],
)
def test_a_machine_without_a_state_tag_has_a_state(
    name: str, base: dict[str, Value], changes: dict[str, Value], state: str
) -> None:
    profile = load_profile(LIBRARY[name])
    word = state_word(profile.derive["state"], base | changes, profile.tags)
    assert word is not None
    assert word.state == state
    assert word.state in profile.states


def test_a_profile_of_a_drive_starts_no_motor() -> None:
    assert load_profile(LIBRARY["danfoss/fc-302"]).writes == {}


def test_pysunspec2_brings_the_definitions_under_a_licence_that_allows_this() -> None:
    assert json.loads(definition(1))["id"] == 1
    from importlib.metadata import metadata

    assert "Apache" in str(metadata("pysunspec2")["License"])

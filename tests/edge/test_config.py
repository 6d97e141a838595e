"""``edge.yaml``: every mistake with its place, the value, what is allowed and the nearest key."""

from pathlib import Path

import pytest

from edge.config import Setup, load_setup
from protocols.documents import DocumentError

SITE = """\
id: shop
uuid: 11111111-1111-1111-1111-111111111111
title: Shop
areas:
  - id: hall
    uuid: 11111111-1111-1111-1111-111111111112
    title: Hall
    lines:
      - id: line
        uuid: 11111111-1111-1111-1111-111111111113
        title: Line
        workcells:
          - {id: press-1, uuid: 11111111-1111-1111-1111-111111111114, title: Press, kind: press}
edges:
  - id: machining
    workcells: [press-1]
    devices:
      - id: press-1
        asset: 11111111-1111-1111-1111-111111111115
        profile: acme/press
        url: modbus://127.0.0.1:1502
        workcells: [press-1]
"""
PROFILE = """\
vendor: Acme
model: Press
protocol: modbus
tags:
  load: {address: "holding:0", type: uint16}
"""
EDGE = """\
edge: machining
site: site.yaml
profiles: profiles
data: data
broker: {host: broker.local}
"""


def write(folder: Path, edge: str = EDGE, site: str = SITE, profile: str = PROFILE) -> Path:
    (folder / "profiles" / "acme").mkdir(parents=True)
    (folder / "profiles" / "acme" / "press.yaml").write_text(profile)
    (folder / "site.yaml").write_text(site)
    (folder / "edge.yaml").write_text(edge)
    return folder / "edge.yaml"


def problem(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        load_setup(path)
    assert len(caught.value.problems) == 1, caught.value
    return str(caught.value).replace(f"{path.parent}/", "")


def test_everything_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    setup: Setup = load_setup(write(tmp_path))
    assert setup.config.data == tmp_path / "data"
    assert [machine.device.id for machine in setup.machines] == ["press-1"]
    assert list(setup.machines[0].profile.tags) == ["load"]
    assert set(setup.sources) == {"edge", "site", "profile:acme/press"}
    assert setup.config.broker.address == ("broker.local", 1883)
    limits, bounds = setup.config.outbox.limits, setup.config.outbox.bounds
    assert limits.reserve + bounds.max_bytes < limits.max_bytes


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("edge: machining", "edge: machning"),
            'edge.yaml:1:7  edge: "machning" is not one of machining — did you mean machining? (edges of',
        ),
        (("edge: machining", "edge: Machine 1"), 'edge.yaml:1:7  edge: "Machine 1" does not match'),
        (("data: data", "dta: data"), 'unknown key "dta" — did you mean data?'),
        (("broker: {host: broker.local}", "broker: {hst: x}"), 'unknown key "hst" — did you mean host?'),
        (
            ("broker: {host: broker.local}", "broker: {port: 70000}"),
            "edge.yaml:5:16  broker.port: 70000 must be at most 65535",
        ),
        (
            ("broker: {host: broker.local}", "broker: {password_file: secret}"),
            "edge.yaml:5:25  broker.password_file: there is no file",
        ),
        (
            ("broker: {host: broker.local}", "broker: {tls: {cert: a.pem}}"),
            "edge.yaml:5:22  broker.tls.cert: a client certificate needs both: add key",
        ),
        (
            ("broker: {host: broker.local}", "outbox: {max_bytes: 4000}"),
            "edge.yaml:5:21  outbox.max_bytes: 4000 must be at least 1048576",
        ),
    ],
)
def test_a_mistake_in_edge_yaml_is_placed(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    if change[0].startswith("data"):
        with pytest.raises(DocumentError, match="missing key") as caught:
            load_setup(write(tmp_path, edge=EDGE.replace(*change)))
        assert expected in str(caught.value)
        return
    assert expected in problem(write(tmp_path, edge=EDGE.replace(*change)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("acme/press", "acme/pres"),
            'site.yaml:20:18  edges.0.devices.0.profile: "acme/pres" is not one of acme/press — did you mean',
        ),
        (
            ("modbus://127.0.0.1:1502", "opc.tcp://127.0.0.1"),
            'site.yaml:21:14  edges.0.devices.0.url: "opc.tcp://127.0.0.1" is not a Modbus address',
        ),
    ],
)
def test_a_mistake_in_a_device_is_placed_in_the_site(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    assert expected in problem(write(tmp_path, site=SITE.replace(*change)))


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("timeout: -1", "site.yaml:23:28  timeout: -1 must be greater than 0"),
        ("timout: 1", 'site.yaml:23:19  unknown key "timout" — did you mean timeout?'),
    ],
)
def test_a_wrong_option_of_a_driver_is_placed_in_the_site(tmp_path: Path, option: str, expected: str) -> None:
    site = SITE + f"        options: {{{option}}}\n"
    assert problem(write(tmp_path, site=site)).startswith(expected)


def test_a_mistake_in_a_profile_is_placed_in_the_profile(tmp_path: Path) -> None:
    found = problem(write(tmp_path, profile=PROFILE.replace("uint16", "uint17")))
    assert found.startswith("profiles/acme/press.yaml:5:38")
    assert "did you mean uint16?" in found


def test_a_site_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "site.yaml").unlink()
    assert problem(path) == "edge.yaml:2:7  site: there is no file site.yaml"


def test_a_folder_of_profiles_that_is_missing_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, edge=EDGE.replace("profiles: profiles", "profiles: profile"))
    assert problem(path) == "edge.yaml:3:11  profiles: there is no folder profile"


def test_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    edge = EDGE.replace("broker: {host", "broker: {hots") + "api: {prot: 1}\n"
    site = SITE.replace("workcells: [press-1]\n    dev", "workcells: [pres-1]\n    dev").replace(
        "title: Hall", ""
    )
    with pytest.raises(DocumentError) as caught:
        load_setup(write(tmp_path, edge=edge, site=site))
    found = str(caught.value).replace(f"{tmp_path}/", "")
    assert [line.split()[0] for line in found.splitlines()] == [
        "edge.yaml:5:10",
        "edge.yaml:6:7",
        "site.yaml:5:5",
        "site.yaml:16:17",
    ]


def test_a_profile_and_another_device_s_address_come_at_once(tmp_path: Path) -> None:
    more = SITE[SITE.index("      - id: press-1\n        asset") :]
    more = more.replace("id: press-1", "id: press-2").replace("modbus://127.0.0.1:1502", "modbus://")
    with pytest.raises(DocumentError) as caught:
        load_setup(
            write(
                tmp_path,
                edge=EDGE.replace("host: broker.local", "password_file: secret"),
                site=SITE + more,
                profile=PROFILE.replace("uint16", "uint17"),
            )
        )
    places = [f"{Path(p.file).name}:{p.line}" for p in caught.value.problems]
    assert places == ["edge.yaml:5", "press.yaml:5"]


COUNTING = PROFILE + '  parts: {address: "holding:1", type: uint16, role: part_count}\n'
FEEDER = """\
      - id: feeder-1
        asset: 11111111-1111-1111-1111-111111111116
        profile: acme/press
        url: modbus://127.0.0.1:1503
        workcells: [press-1]
"""


def test_two_part_counters_of_one_workcell_are_placed_in_the_site(tmp_path: Path) -> None:
    expected = (
        'site.yaml:27:21  edges.0.devices.1.workcells.0: "press-1" has its parts counted by press-1 already, '
        "and feeder-1 has a tag with the role part_count, too — write counts: false at the one whose count "
        "is not that of press-1"
    )
    assert expected in problem(write(tmp_path, site=SITE + FEEDER, profile=COUNTING))


@pytest.mark.parametrize(
    ("site", "profile"),
    [
        (SITE + FEEDER, PROFILE),
        (SITE + FEEDER + "        counts: false\n", COUNTING),
        (SITE + "        counts: false\n" + FEEDER, COUNTING),
    ],
)
def test_two_machines_at_one_workcell_of_which_one_counts(tmp_path: Path, site: str, profile: str) -> None:
    assert len(load_setup(write(tmp_path, site=site, profile=profile)).machines) == 2

"""The release list: what an engineer writes, and every mistake in it at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.programs import sha256
from edge.config import load_setup
from edge.programs.releases import Releases, kinds_of, load_releases
from protocols.documents import DocumentError, loads
from protocols.site import Site
from tests.edge.programs.releases import V1, V2, release_list
from tests.edge.test_config import SITE, write

PLACE = loads(SITE, Site, "site.yaml")


def problems(path: Path) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        load_releases(path, PLACE)
    return [str(each).replace(f"{path.parent}/", "") for each in caught.value.problems]


@pytest.mark.parametrize("target", ["devices: [press-1]", "kinds: [press]", "profiles: [acme/press]"])
def test_a_release_is_found_for_the_devices_that_it_names(tmp_path: Path, target: str) -> None:
    found = load_releases(release_list(tmp_path, target=target), PLACE)
    (device,) = PLACE.devices().values()
    (release,) = found.for_device(device, kinds_of(PLACE)).values()
    assert (release.released.name, release.released.sha256) == ("O1000.nc", sha256(V1))
    assert found.content(release) == V1
    assert found.for_device(device.model_copy(update={"id": "x", "profile": "x", "workcells": ()}), {}) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            (sha256(V1), sha256(V2)),
            f"releases.yaml:4:13  releases.0.sha256: O1000.nc has the hash {sha256(V1)}",
        ),
        ((sha256(V1), "beef"), 'releases.yaml:4:13  releases.0.sha256: "beef" does not match'),
        (
            ("press-1]", "press-2]"),
            'releases.0.devices.0: "press-2" is not one of press-1 — did you mean press-1?',
        ),
        (("devices: [press-1]", "kinds: [pres]"), '"pres" is not one of press — did you mean press?'),
        (("devices: [press-1]", "profiles: [acme/pres]"), "did you mean acme/press?"),
        (("devices: [press-1]", "devices: []"), "is for no machine — name devices, profiles or kinds"),
        (("file: O1000.nc", "file: O1001.nc"), '"O1001.nc" cannot be read'),
        (("file: O1000.nc", "file: ../O1000.nc"), 'releases.0.file: "../O1000.nc": a name has no empty part'),
        (("name: O1000.nc", 'name: "a:b"'), "releases.0.name: \"a:b\": ':' cannot be in a name"),
        (("released_by: E4", "released_by: Erika Muster"), 'releases.0.released_by: "Erika Muster"'),
        (("2026-11-20", "soon"), "releases.0.date"),
        (("sha256:", "sha265:"), 'unknown key "sha265" — did you mean sha256?'),
    ],
)
def test_a_mistake_is_placed(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = release_list(tmp_path)
    path.write_text(path.read_text().replace(*change, 1))
    found = problems(path)
    assert any(expected in each for each in found), found
    assert all(each.startswith("releases.yaml:") for each in found)


def test_a_program_that_is_a_link_out_of_the_folder_is_none(tmp_path: Path) -> None:
    path = release_list(tmp_path / "programs")
    (tmp_path / "elsewhere.nc").write_bytes(V1)
    (path.parent / "O1000.nc").unlink()
    (path.parent / "O1000.nc").symlink_to(tmp_path / "elsewhere.nc")
    assert "leads out of" in problems(path)[0]


def test_two_releases_of_one_program_for_one_machine_are_a_mistake(tmp_path: Path) -> None:
    path = release_list(tmp_path)
    first = path.read_text()
    path.write_text(first + first.replace("releases:\n", "").replace("devices: [press-1]", "kinds: [press]"))
    assert problems(path) == [
        "releases.yaml:9:14  releases.1.program: O1000 is released for press-1 twice (first as entry 1): "
        "keep one, and put the hash of the other under its earlier"
    ]


def test_a_site_names_its_list_and_an_edge_reads_it_with_all_else(tmp_path: Path) -> None:
    path = write(tmp_path, site=SITE + "programs: programs/releases.yaml\n")
    with pytest.raises(DocumentError, match=r"site.yaml:23:11  programs: there is no file"):
        load_setup(path)
    listed = release_list(tmp_path / "programs")
    setup = load_setup(path)
    assert setup.sources["programs"] == listed
    assert isinstance(setup.releases, Releases)
    assert setup.releases.entries[0].program == "O1000"
    (listed.parent / "O1000.nc").write_bytes(V2)
    with pytest.raises(DocumentError, match=r"releases.yaml:4:13 .* has the hash"):
        load_setup(path)


@pytest.mark.parametrize(("folder", "wrong"), [("/mnt/mill-1/nc", ""), ("nc/mill", "is no absolute path")])
def test_a_device_says_where_its_programs_are_mounted(tmp_path: Path, folder: str, wrong: str) -> None:
    place = "        workcells: [press-1]\n"
    path = write(
        tmp_path, site=SITE.replace(place, f"{place}        options: {{program_folder: {folder}}}\n")
    )
    if not wrong:
        assert load_setup(path).machines[0].device.options == {"program_folder": folder}
        return
    with pytest.raises(DocumentError, match=rf"site.yaml:23:35  program_folder: .*{wrong}"):
        load_setup(path)

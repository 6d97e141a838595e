"""Signals of a station that are not there are errors with their place, before anything is connected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.config import load_setup
from edge.transport.stations import served
from protocols.documents import DocumentError

CONFIGS = Path(__file__).parents[3] / "firmware_configs"
EDGE = "edge: machining\nsite: site.yaml\nprofiles: profiles\ndata: data\nbroker: {host: 127.0.0.1}\n"
GOOD = "{device: dock-1, ready: ready, sensed: sensed, release: release}"


def laid_out(folder: Path, handshake: str = GOOD, profile: tuple[str, str] = ("", "")) -> Path:
    shutil.copytree(CONFIGS / "sites" / "demo", folder, dirs_exist_ok=True)
    shutil.copytree(CONFIGS / "profiles" / "virtual", folder / "profiles" / "virtual")
    graph, transfer = folder / "graph.yaml", folder / "profiles" / "virtual" / "transfer.yaml"
    text = graph.read_text("utf-8")
    assert GOOD in text
    graph.write_text(text.replace(GOOD, handshake), "utf-8")
    text = transfer.read_text("utf-8")
    assert profile[0] in text
    transfer.write_text(text.replace(*profile) if profile[0] else text, "utf-8")
    (folder / "edge.yaml").write_text(EDGE, "utf-8")
    return folder / "edge.yaml"


def test_stations_whose_signals_another_edge_reads_are_not_served(tmp_path: Path) -> None:
    setup = load_setup(laid_out(tmp_path))
    assert setup.graph is not None
    cells = set(setup.graph.stations)
    assert set(served(setup.graph, ["dock-1", "dock-2"])) == cells
    assert set(served(setup.graph, ["dock-2"])) == cells - {"brake-1"}


RULE = "    allowed: [true, false]\n"


@pytest.mark.parametrize(
    ("handshake", "profile", "place", "message"),
    [
        (GOOD.replace("dock-1", "dcok-1"), ("", ""), ":54:48", "did you mean dock-1?"),
        (GOOD.replace("ready: ready", "ready: raedy"), ("", ""), ":54:63", "did you mean ready?"),
        (GOOD.replace("sensed: sensed", "sensed: counter"), ("", ""), ":54:78", "a signal is a bool"),
        (GOOD.replace("release: release", "release: sensed"), ("", ""), ":54:95", "is read-only"),
        (GOOD.replace("sensed:", "sensd:"), ("", ""), ":54:70", "did you mean sensed?"),
        (GOOD, (RULE, "    allowed: [true]\n"), ":54:95", "may not be written false"),
        (GOOD, (RULE, RULE + "    two_people: true\n"), ":54:95", "needs two people"),
        (
            GOOD,
            (
                "writes:\n  release:\n",
                "  remote:\n    address: coil:1\n    type: bool\n    role: remote_enabled\n"
                "writes:\n  release:\n    effect: start\n",
            ),
            ":54:95",
            "a release starts nothing",
        ),
    ],
)
def test_what_is_not_there_is_said_at_its_place(
    tmp_path: Path, handshake: str, profile: tuple[str, str], place: str, message: str
) -> None:
    with pytest.raises(DocumentError) as found:
        load_setup(laid_out(tmp_path, handshake, profile))
    said = [str(problem) for problem in found.value.problems]
    assert any(f"graph.yaml{place}" in line and message in line for line in said), said

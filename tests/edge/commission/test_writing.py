"""``onelot driver write`` and ``read``: what is asked, what is refused, what reaches the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from tests.edge.commission.background import onelot_driver, serving

PROFILE = """
vendor: Acme
model: Press 40
protocol: modbus
identification:
  checks:
    - {address: "holding:900", type: uint16, equals: 417}
tags:
  ready: {address: "holding:0", type: bool, bit: 0, role: remote_enabled}
  speed: {address: "holding:10", type: int16, scale: 0.1, unit: mm/s, access: read-write}
  mode: {address: "holding:11", type: uint16, access: read-write, enum: {0: eco, 1: fast}}
  start: {address: "coil:1", type: bool, access: read-write}
  recipe: {address: "holding:12", type: uint16, access: read-write}
  secret: {address: "holding:13", type: uint16, access: write}
writes:
  speed: {min: 5, max: 50, precondition: {tag: ready, equals: true}}
  mode: {allowed: [0, 1]}
  start: {effect: start}
  recipe: {two_people: true}
  secret: {max: 9}
"""


@pytest.fixture
def press(tmp_path: Path) -> Path:
    file = tmp_path / "press.yaml"
    file.write_text(PROFILE)
    return file


@pytest.fixture
def machine(press: Path) -> Iterator[ModbusServer]:
    with serving(lambda: ModbusServer(load_profile(press))) as server:
        server.set("ready", True)
        server.set("speed", 10.0)
        yield server


def write(machine: ModbusServer, press: Path, *arguments: str, answer: str | None = None) -> Any:
    return onelot_driver("write", machine.url, *arguments, "--profile", str(press), answer=answer)


def test_a_write_names_machine_tag_change_and_unit_and_waits_for_a_yes(
    machine: ModbusServer, press: Path
) -> None:
    no = write(machine, press, "speed", "12.5", answer="n\n")
    assert no.exit_code == 1
    assert f"Acme Press 40 at {machine.url}" in no.stderr
    assert "speed  10 mm/s → 12.5 mm/s" in no.stderr
    assert "nothing was written" in no.stderr
    assert machine.get("speed") == 10.0

    yes = write(machine, press, "speed", "12.5", answer="y\n")
    assert (yes.exit_code, yes.stdout) == (0, "speed  10 mm/s → 12.5 mm/s, read back\n")
    assert machine.get("speed") == 12.5


def test_nobody_there_is_a_no(machine: ModbusServer, press: Path) -> None:
    result = write(machine, press, "speed", "12.5", answer="")
    assert result.exit_code == 1
    assert "say --yes" in result.stderr
    assert machine.get("speed") == 10.0


def test_yes_writes_a_parameter_and_json_says_what_became_of_it(machine: ModbusServer, press: Path) -> None:
    result = write(machine, press, "speed", "20", "--yes", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "tag": "speed",
        "before": 10.0,
        "written": 20.0,
        "value": 20.0,
        "unit": "mm/s",
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("speed", "50.1"), "above the maximum 50"),
        (("speed", "fast"), '"fast" is not a number'),
        (("ready", "true"), "read-only: the profile allows writes to mode, recipe, secret, speed, start"),
        (("sped", "1"), "did you mean speed?"),
        (("mode", "fats"), "did you mean fast?"),
        (
            ("start", "true"),
            "start is a start: it is never written from here — do it at the station's terminal",
        ),
        (("recipe", "1"), "needs two people: it is never written from here"),
    ],
)
def test_what_may_not_be_written_is_refused_in_one_line_even_with_yes(
    machine: ModbusServer, press: Path, arguments: tuple[str, str], why: str
) -> None:
    written: list[Any] = []
    machine.on_write = lambda name, value: written.append((name, value))
    result = write(machine, press, *arguments, "--yes")
    assert result.exit_code == 1
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert written == []


def test_a_precondition_of_the_machine_counts(machine: ModbusServer, press: Path) -> None:
    machine.set("ready", False)
    result = write(machine, press, "speed", "20", "--yes")
    assert (result.exit_code, machine.get("speed")) == (1, 10.0)
    assert "needs ready = true, it is false" in result.stderr


@pytest.mark.parametrize("more", [["--yes"], []])
def test_another_machine_than_the_profile_s_is_not_written_to(
    machine: ModbusServer, press: Path, more: list[str]
) -> None:
    machine.set("identification/0", 418)
    result = write(machine, press, "speed", "20", *more, answer="y\n")
    assert (result.exit_code, machine.get("speed")) == (1, 10.0)
    assert "not the machine its profile was made for" in result.stderr
    assert "Write it?" not in result.stderr, "nobody is asked for what is refused"


def test_a_word_of_the_enum_stands_for_its_number(machine: ModbusServer, press: Path) -> None:
    result = write(machine, press, "mode", "fast", "--yes")
    assert result.stdout == "mode  0 (eco) → 1 (fast), read back\n"
    assert machine.get("mode") == 1


def test_what_cannot_be_read_back_is_said_so(machine: ModbusServer, press: Path) -> None:
    result = write(machine, press, "secret", "7", "--yes")
    assert result.stdout == "secret  7 sent; it cannot be read back\n"
    assert machine.get("secret") == 7


def test_read_takes_the_tags_that_are_named_in_their_order(machine: ModbusServer, press: Path) -> None:
    both = onelot_driver("read", machine.url, "speed", "ready", "--profile", str(press))
    assert both.stdout == "speed  10 mm/s\nready  true\n"
    wrong = onelot_driver("read", machine.url, "sped", "--profile", str(press))
    assert (wrong.exit_code, wrong.stderr) == (1, '"sped" is no tag of the profile — did you mean speed?\n')
    write_only = onelot_driver("read", machine.url, "secret", "--profile", str(press))
    assert "can only be written" in write_only.stderr

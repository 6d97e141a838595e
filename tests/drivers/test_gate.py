"""The gate before every write and call: each check alone, their order, and who tries to get round it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import (
    Confirmation,
    Deliver,
    DeviceLost,
    Driver,
    Identity,
    Options,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile, MethodRule, Permission, Tag
from protocols.documents import parse
from protocols.values import Quality, Reading, Reason, Value

PROFILE = """\
vendor: Acme
model: Press
protocol: modbus
tags:
  state: {address: "holding:0", type: uint16, role: state, enum: {0: idle, 1: run, 2: fault}}
  guard: {address: "discrete:0", type: bool}
  remote: {address: "discrete:1", type: bool, role: remote_enabled}
  speed: {address: "holding:2", type: uint16, access: read-write}
  order: {address: "holding:3", type: string, length: 4, access: write}
  go: {address: "coil:0", type: bool, access: read-write}
  ack: {address: "coil:1", type: bool, access: read-write}
states:
  idle: {item_state: not_executing}
  run: {item_state: executing}
  fault: {item_state: out_of_service}
writes:
  speed: {min: 1, max: 10, interval: 30, precondition: {tag: guard, equals: true}}
  order: {two_people: true}
  go: {allowed: [true], effect: start, item_states: [not_executing], two_people: true}
  ack: {effect: reset}
"""
ONE = Confirmation("K7", "press-1")
TWO = Confirmation("K7", "press-1", "K9")


class Machine(Driver[Options]):
    """A machine in memory; ``meanwhile`` happens while it is read."""

    def __init__(self, profile: AnyProfile) -> None:
        super().__init__("memory", profile, Options())
        self.values: dict[str, Value] = {
            "state": 0,
            "guard": True,
            "remote": True,
            "speed": 1,
            "go": False,
            "ack": False,
        }
        self.bad: set[str] = set()
        self.sent: list[tuple[str, Value]] = []
        self.reads: list[tuple[str, ...]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.now = 1000.0
        self.clock = lambda: self.now

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def stream(self, deliver: Deliver) -> None: ...

    async def identify(self) -> Identity:
        return Identity()

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        self.reads.append(tuple(paths))
        await asyncio.sleep(0)
        found = [
            Reading(p, None, Quality.BAD, Reason.TIMEOUT) if p in self.bad else Reading(p, self.values[p])
            for p in paths
        ]
        self.meanwhile()
        return found

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        self.sent.append((path, value))
        self.values[path] = value

    @property
    def methods(self) -> Mapping[str, MethodRule]:
        return {"begin": MethodRule.model_validate({"inputs": {"job": "string"}, "effect": "start"})}

    async def invoke(
        self, method: str, rule: MethodRule, arguments: Mapping[str, Value]
    ) -> Mapping[str, Value]:
        self.sent.append((method, arguments["job"]))
        return {"accepted": True}


def machine(**values: Value) -> Machine:
    made = Machine(check_profile(parse(PROFILE, "p.yaml")))
    made.values |= values
    return made


@pytest.mark.parametrize(
    ("values", "path", "value", "confirmation", "why"),
    [
        ({}, "guard", True, TWO, '"guard" is read-only: the profile allows writes to ack, go, order, speed'),
        ({}, "speed", 11, TWO, '"speed": 11 is above the maximum 10'),
        ({}, "go", False, TWO, '"go": false is not one of True'),
        ({}, "go", 1, TWO, '"go": 1 is not one of True'),
        ({"guard": False}, "speed", 5, TWO, '"speed" needs guard = true, it is false'),
        ({"guard": 1}, "speed", 5, TWO, '"speed" needs guard = true, it is 1'),
        ({}, "ack", True, None, '"ack" is a reset: it needs a person at the machine'),
        ({}, "ack", True, Confirmation("", "press-1"), "it needs a person"),
        ({}, "ack", True, Confirmation("K7", ""), "it needs a person"),
        ({"remote": False}, "ack", True, ONE, "needs remote = true, it is false — enable remote operation"),
        ({"remote": 1}, "ack", True, ONE, "needs remote = true, it is 1"),
        ({}, "order", "A1", None, '"order" needs two people'),
        ({}, "order", "A1", ONE, '"order" needs two people'),
        ({}, "order", "A1", Confirmation("K7", "s", " k7"), "needs two people, K7 confirmed twice"),
        ({"state": 1}, "go", True, TWO, '"go" needs the machine to be not_executing, it is executing'),
        ({"state": 9}, "go", True, TWO, "but its state 9 is not in the profile"),
    ],
)
async def test_what_is_refused_says_why_and_is_not_sent(
    values: dict[str, Value], path: str, value: Value, confirmation: Confirmation | None, why: str
) -> None:
    made = machine(**values)
    with pytest.raises(WriteRefused) as refused:
        await made.write(path, value, confirmation)
    assert why in str(refused.value)
    assert made.sent == []
    assert path not in made.done, "what was refused does not start an interval"


@pytest.mark.parametrize(
    ("bad", "path", "why"),
    [
        ("guard", "speed", "needs guard = true, but it has no good value (timeout)"),
        ("remote", "go", "is a start and needs remote = true, but it has no good value (timeout)"),
        ("state", "go", "needs the machine to be not_executing, but state has no good value (timeout)"),
    ],
)
async def test_what_cannot_be_read_is_not_met(bad: str, path: str, why: str) -> None:
    made = machine()
    made.bad = {bad}
    with pytest.raises(WriteRefused) as refused:
        await made.write(path, 5 if path == "speed" else True, TWO)
    assert why in str(refused.value)
    assert made.sent == []


async def test_what_may_be_done_is_done_and_looked_at_the_machine_at_that_moment() -> None:
    made = machine()
    assert (await made.write("go", True, TWO)).value is True
    assert (await made.write("ack", True, ONE)).value is True
    assert await made.write("order", "A1", TWO) == Reading("order", "A1")
    assert made.sent == [("go", True), ("ack", True), ("order", "A1")]
    assert made.reads == [("state", "remote"), ("go",), ("remote",), ("ack",)]


async def test_an_interval_holds_across_connections() -> None:
    made = machine()
    await made.write("speed", 5)
    made.now += 12
    with pytest.raises(WriteRefused, match=r"was done 12\.0 s ago, at least 30 s must pass — wait 18\.0 s"):
        await made.write("speed", 6)
    again = machine()
    again.done, again.now = made.done, made.now + 17
    with pytest.raises(WriteRefused, match=r"wait 1\.0 s"):
        await again.write("speed", 6)
    again.now += 1
    await again.write("speed", 6)
    assert again.sent == [("speed", 6)]


async def test_two_writes_at_once_pass_one_after_the_other() -> None:
    made = machine()
    results = await asyncio.gather(made.write("speed", 5), made.write("speed", 6), return_exceptions=True)
    assert made.sent == [("speed", 5)]
    assert isinstance(results[1], WriteRefused)


async def test_a_lock_refuses_everything_and_also_when_it_comes_while_the_machine_is_read() -> None:
    made = machine()
    made.refuses = "locked by K3: blade change"
    for path, value in (("speed", 5), ("go", True), ("order", "A1")):
        with pytest.raises(WriteRefused, match="nothing may be written now: locked by K3: blade change"):
            await made.write(path, value, TWO)
    with pytest.raises(WriteRefused, match="locked by K3"):
        await made.call("begin", {"job": "J1"}, ONE)
    assert made.reads == []
    made.refuses = ""

    def lock() -> None:
        made.refuses = "locked by K3"

    made.meanwhile = lock
    with pytest.raises(WriteRefused, match="locked by K3"):
        await made.write("go", True, TWO)
    assert made.sent == []


async def test_calls_go_through_the_same_gate() -> None:
    made = machine()
    with pytest.raises(KeyError, match="did you mean begin"):
        await made.call("begni", {"job": "J1"}, ONE)
    with pytest.raises(WriteRefused, match="the argument job"):
        await made.call("begin", {}, ONE)
    with pytest.raises(WriteRefused, match="is a start: it needs a person"):
        await made.call("begin", {"job": "J1"})
    assert await made.call("begin", {"job": "J1"}, ONE) == {"accepted": True}
    made.values["remote"] = False
    with pytest.raises(WriteRefused, match="needs remote = true"):
        await made.call("begin", {"job": "J2"}, ONE)
    assert made.sent == [("begin", "J1")]


async def test_a_machine_that_takes_something_else_is_said() -> None:
    made = machine()

    def limit() -> None:
        if made.sent:
            made.values["speed"] = 9

    original = made.read

    async def read(paths: Sequence[str]) -> list[Reading]:
        limit()
        return await original(paths)

    made.read = read  # type: ignore[method-assign]
    with pytest.raises(WriteFailed, match='"speed": wrote 5, read back 9'):
        await made.write("speed", 5)


async def test_a_write_that_cannot_be_read_back_may_have_taken_effect() -> None:
    made = machine()
    original = made.read

    async def read(paths: Sequence[str]) -> list[Reading]:
        if made.sent and made.bad:
            raise DeviceLost("memory", "no answer within 1 s")
        if made.sent:
            made.bad = {"ack"}
        return await original(paths)

    made.read = read  # type: ignore[method-assign]
    with pytest.raises(WriteUnknown, match=r"was sent and cannot be read back: it has no good value"):
        await made.write("ack", True, ONE)
    made.bad = {"speed"}
    made.values["guard"] = True
    made.sent.clear()

    async def lost(paths: Sequence[str]) -> list[Reading]:
        if made.sent:
            raise DeviceLost("memory", "no answer within 1 s")
        return await original(paths)

    made.read = lost  # type: ignore[method-assign]
    with pytest.raises(WriteUnknown, match=r"was sent, and the device was lost .* \(no answer within 1 s\)"):
        await made.write("speed", 5)


async def test_a_state_derived_from_other_tags_counts_as_well() -> None:
    text = PROFILE.replace(", role: state", "").replace(
        "writes:",
        "derive:\n  state:\n    debounce: 60\n    rules: [{state: run, when: {state: run}}]\n"
        "    otherwise: idle\nwrites:",
    )
    made = Machine(check_profile(parse(text, "p.yaml")))
    made.values["state"] = 1
    with pytest.raises(WriteRefused, match="it is executing"):
        await made.write("go", True, TWO)
    made.bad = {"state"}
    with pytest.raises(WriteRefused, match="but state has no good value"):
        await made.write("go", True, TWO)
    made.bad, made.values["state"] = set(), 0
    await made.write("go", True, TWO)
    assert made.reads[0] == ("state", "remote")


@pytest.mark.parametrize(("name", "instead"), [("write", "send"), ("call", "invoke")])
def test_a_driver_cannot_replace_the_gate(name: str, instead: str) -> None:
    async def through(*_: Any, **__: Any) -> Any: ...

    with pytest.raises(TypeError, match=f"may not replace Driver.{name} — implement {instead}"):
        type("Sly", (Machine,), {name: through})


def test_permissions_default_to_the_harmless() -> None:
    assert Permission().effect == "parameter"
    assert not Permission().two_people


def test_nobody_but_the_gate_sends() -> None:
    """``send``, ``invoke`` and ``store`` check no rule: outside ``drivers/driver.py`` nobody calls them."""
    root = Path(__file__).parents[2]
    inner = re.compile(r"\b(?:driver|self|super\(\))\.(?:send\((?=path|command)|invoke\(|store\(\)\.)")
    files = [file for room in ("edge", "drivers") for file in (root / room).rglob("*.py")]
    found = [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in files
        if file != root / "drivers" / "driver.py"
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if inner.search(line)
    ]
    assert found == []
    assert inner.search((root / "drivers" / "driver.py").read_text("utf-8")), "the pattern finds them"

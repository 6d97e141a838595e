"""Devices and alarms as the page shows them: what is wrong first, why, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cloud.ledger.alarms import Alarm
from cloud.ledger.reading import Machine, MachineLock
from cloud.web.alarm_list import SHOWN, acknowledgement, alarm_list, grade
from cloud.web.devices import SILENT, Seen, devices, draw, health
from cloud.web.speech import CHINA, ENGLISH
from protocols.documents import load
from protocols.site import Site
from protocols.values import MICROSECONDS as S

SITE = load(Path(__file__).parents[3] / "firmware_configs" / "sites" / "demo" / "site.yaml", Site)
NOW = 1_700_000_000 * S
MACHINE = Machine("laser-1", "machining", True, 1, NOW, NOW, "", "executing", "processing", 1, "")
LASER = Seen(SITE.devices()["laser-1"], "machining", MACHINE, NOW, False, NOW)


def with_machine(**changes: object) -> Seen:
    return replace(LASER, machine=msgspec.structs.replace(MACHINE, **changes))


@pytest.mark.parametrize(
    ("seen", "word", "why", "todo"),
    [
        (LASER, "● connected", "", ""),
        (replace(LASER, machine=None), "✕ never heard of", "machining has not told", "this site file"),
        (
            replace(LASER, machine=None, away=True),
            "✕ no data",
            "edge machining is away",
            "reaches the broker",
        ),
        (
            with_machine(connected=False, detail="no answer within 1 s", firmware="9"),
            "✕ not connected",
            "no answer within 1 s",
            "onelot driver probe opc.tcp://127.0.0.1:14841",
        ),
        (with_machine(differs="another"), "▲ another machine", "another", "address or profile"),
        (
            with_machine(differs="firmware", firmware="9.9"),
            "▲ read only",
            "firmware 9.9 is unknown to its profile",
            "accept it at its station (F10)",
        ),
        (
            with_machine(lock=MachineLock("locked", "K7", "lens", NOW)),
            "⊘ locked",
            "locked by K7: lens",
            "K7 releases it",
        ),
        (
            with_machine(lock=MachineLock("released", "K7", "lens", NOW)),
            "⊘ to accept",
            "released by K7",
            "production accepts it",
        ),
        (
            replace(LASER, newest=NOW - SILENT - 5 * S),
            "◇ no new values",
            "nothing was read for 30 s",
            "onelot driver watch",
        ),
    ],
)
def test_what_is_wrong_comes_with_what_to_do(seen: Seen, word: str, why: str, todo: str) -> None:
    found = health(seen, ENGLISH)
    assert f"{found.shape} {found.word}" == word
    assert why in found.why
    assert todo in found.next
    chinese = health(seen, CHINA)
    assert chinese.shape == found.shape
    assert chinese.word != found.word
    assert bool(chinese.next) == bool(found.next)


def test_no_password_of_an_address_is_shown() -> None:
    device = LASER.device.model_copy(update={"url": "opc.tcp://user:secret@10.0.0.1:4840/x"})
    seen = replace(with_machine(connected=False), device=device)
    assert "secret" not in str(health(seen, ENGLISH))
    assert "opc.tcp://10.0.0.1:4840/x" in health(seen, ENGLISH).next


def test_every_device_has_its_row_those_of_workcells_in_plant_order() -> None:
    html = draw(
        SITE, {"laser-1": msgspec.structs.replace(MACHINE, detail="<b>")}, {}, ["coating"], NOW, ENGLISH
    )
    places = [html.index(f'data-device="{device.id}"') for device, _ in devices(SITE)]
    assert len(places) == len(SITE.devices())
    assert html.index("brake-1") < html.index("pack-1") < html.index("agv-1"), "those with something wrong"
    assert html.index("agv-1") < html.index("laser-1"), "what is well comes behind, in a few words"
    assert "edge coating is away" in html
    assert "激光" in draw(SITE, {}, {}, [], NOW, CHINA)


def alarm(number: int, **changes: object) -> Alarm:
    plain = Alarm(
        number, "hall", "laser-1", f"E{number}", "axis", f"text {number}", 500, NOW - 9 * S, None, None
    )
    return msgspec.structs.replace(plain, **changes)


def test_an_alarm_says_how_severe_it_is_and_whether_it_was_acknowledged() -> None:
    assert [grade(alarm(1, severity=n), ENGLISH) for n in (0, 1, 400, 799, 800, 1000)] == [
        "–",
        "▽ low 1",
        "△ medium 400",
        "△ medium 799",
        "▲ severe 800",
        "▲ severe 1000",
    ]
    assert acknowledgement(alarm(1), ENGLISH) == "not acknowledged"
    assert acknowledgement(alarm(1, acknowledged=NOW), ENGLISH) == "✓ acknowledged"
    assert acknowledgement(alarm(1, severity=0), ENGLISH) == "–", "a plain alarm tag does not say"


def test_the_list_is_bounded_and_says_how_many_more_stand() -> None:
    html = alarm_list([alarm(number, text="<i>hot</i>") for number in range(50)], 312, NOW, ENGLISH)
    assert html.count("<tr") == SHOWN + 1
    assert f"and {312 - SHOWN} more alarms" in html
    assert "<i>" not in html
    assert "no alarms" in alarm_list([], 0, NOW, ENGLISH)
    assert f"另有 {312 - SHOWN} 条报警" in alarm_list([alarm(1)] * 50, 312, NOW, CHINA)

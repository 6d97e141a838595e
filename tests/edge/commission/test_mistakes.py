"""What a new integrator types wrongly: a command says it in a line, with the next step and an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from edge.commission import running
from edge.commission.running import timed
from tests.edge.commission.background import onelot_driver, serving

ROOT = Path(__file__).parents[3]
SDM = "eastron/sdm630"
GONE = "modbus://127.0.0.1:9"


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        (["show", "sdm630"], 1, "did you mean eastron/sdm630?"),
        (["show", "modbsu"], 1, "did you mean modbus?"),
        (["show", "zzzz"], 1, "onelot driver list shows"),
        (["check", "eastron/sdm63"], 1, "did you mean eastron/sdm630?"),
        (["check", "sdm120"], 1, "did you mean eastron/sdm120?"),
        (["check", "nope.yaml"], 1, "nope.yaml:1:1 cannot be read"),
        (["read", GONE, "--profile", "siemens/s7-1500"], 1, "(opcua) — write opc.tcp://10.0.4.21:4840"),
        (["watch", GONE, "--profile", "siemens/s7-1500"], 1, "is no address for the profile of Siemens"),
        (["watch", GONE, "volts", "--profile", SDM], 1, "there are power, apparent_power"),
        (["simulate", SDM, "--port", "80000"], 2, "less than or equal to 65535"),
        (["simulate", "virtual/laser", "--port", "65535", "--units", "2"], 1, "go past 65535"),
        (["record", GONE, "x.jsonl", "--profile", "sdm630"], 1, "did you mean eastron/sdm630?"),
        (["record", GONE, "x.jsonl", "--profile", SDM], 1, "connection refused"),
        (["record", GONE, "nowhere/x.jsonl", "--profile", SDM], 1, "there is no folder nowhere"),
        (["trust", "list", "--pki", __file__], 1, "is a file"),
        (["list", "--jsn"], 2, "No such option"),
    ],
)
def test_a_mistake_is_said_in_a_line(
    typed: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = onelot_driver(*typed)
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())
    assert words in said
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_tag_that_cannot_be_read_is_an_exit_code(tmp_path: Path) -> None:
    profile = load_profile(ROOT / "firmware_configs" / "profiles" / f"{SDM}.yaml")
    with serving(lambda: ModbusServer(profile)) as server:
        wrong = server.url.replace("unit=1", "unit=9")
        fast = ("--option", "timeout=0.1")
        assert onelot_driver("read", server.url, "frequency", "--profile", SDM).exit_code == 0
        bad = onelot_driver("read", wrong, "frequency", "--profile", SDM, "--json", *fast)
        recorded = onelot_driver(
            "record", server.url, str(tmp_path / "a.jsonl"), "--profile", SDM, "--rounds", "1", "--json"
        )
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)[0]["problem"] == "no reply within 0.1 s"
    assert recorded.exit_code == 0, recorded.output
    assert json.loads(recorded.stdout)["rounds"] == 1


async def test_long_work_is_told_on_a_terminal_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "WAITS", 0.01)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert await timed(asyncio.sleep(0.1, "done"), "press: reading") == "done"
    said = capsys.readouterr().err
    assert "press: reading … 0 s, Ctrl-C stops" in said
    assert said.endswith("\r\x1b[K")
    assert await timed(asyncio.sleep(0, "done"), "press: reading") == "done"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "typed",
    [
        ["read", "modbus://127.0.0.1:{silent}", "--profile", SDM, "--option", "timeout=60"],
        ["probe", "vda5050://127.0.0.1:{silent}", "--listen", "60"],
        [
            *("files", "list", "opc.tcp://127.0.0.1:{silent}", "--profile", "{mill}"),
            *("--option", "security=none", "--option", "timeout=60"),
        ],
    ],
)
def test_ctrl_c_at_a_terminal_ends_in_a_word_and_130(typed: list[str], tmp_path: Path) -> None:
    mill = tmp_path / "mill.yaml"
    mill.write_text(
        "vendor: A\nmodel: B\nprotocol: opcua\nfiles: {node: 'i=85'}\n"
        "tags: {a: {address: 'i=2258', type: string}}\n"
    )
    code = "import sys; print('ready', flush=True); from edge.commission.main import app; app()"
    main, other = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = [word.format(silent=silent.getsockname()[1], mill=mill) for word in typed]
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], cwd=ROOT, stdin=other, stdout=other, stderr=other
        )
        os.close(other)
        said = b""
        sent = False
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            ready, _, _ = select.select([main], [], [], 0.2)
            if ready:
                try:
                    data = os.read(main, 4096)
                except OSError:
                    break
                said += data
            if not sent and b"Ctrl-C stops" in said:
                process.send_signal(signal.SIGINT)
                sent = True
        process.wait(10)
        os.close(main)
    text = said.decode()
    assert sent, text
    assert process.returncode == 130, text
    assert "Traceback" not in text
    assert "stopped" in text

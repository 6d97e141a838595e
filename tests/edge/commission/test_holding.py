"""Nothing is written past an edge that runs on this computer and has the machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from drivers.modbus.simulator import ModbusServer
from edge.commission import holding
from edge.commission.holding import place_of
from tests.edge.commission.background import onelot_driver
from tests.edge.commission.test_writing import machine, press, write  # noqa: F401 - fixtures


@contextmanager
def answering(body: object, status: int = 200) -> Iterator[int]:
    """A server of health on loopback; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status if self.path == "/health" else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def health(address: str) -> dict[str, object]:
    return {"edge": "hall-2", "devices": [{"id": "press-1", "address": address}]}


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The port at which an edge is looked for."""
    monkeypatch.setattr(holding, "_edges", lambda _: [f"http://127.0.0.1:{port}"])


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_a_machine_of_a_running_edge_is_not_written_to(
    machine: ModbusServer,  # noqa: F811
    press: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    yes: list[str],
) -> None:
    with answering(health(machine.url.replace("127.0.0.1", "localhost"))) as port:
        use(monkeypatch, port)
        result = write(machine, press, "speed", "12.5", *yes, answer="y\n")
    assert result.exit_code == 1
    assert 'edge "hall-2" runs on this computer' in result.stderr
    assert "as press-1 — nothing was written. Write at the terminal" in result.stderr
    assert machine.get("speed") == 10.0


def test_another_machine_of_a_running_edge_is_no_hindrance(
    machine: ModbusServer,  # noqa: F811
    press: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(health(machine.url.partition("?")[0] + "?unit=9")) as port:
        use(monkeypatch, port)
        result = write(machine, press, "speed", "12.5", "--yes")
    assert result.exit_code == 0, result.output
    assert machine.get("speed") == 12.5


@pytest.mark.parametrize(
    "body", [b"<html>", [], {}, {"edge": "x"}, {"devices": []}, {"edge": "x", "devices": []}]
)
def test_something_else_at_that_port_is_no_edge(
    machine: ModbusServer,  # noqa: F811
    press: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    body: object,
) -> None:
    with answering(body) as port:
        use(monkeypatch, port)
        assert write(machine, press, "speed", "12.5", "--yes").exit_code == 0


def test_an_edge_that_does_not_say_what_it_holds_is_not_written_past(
    machine: ModbusServer,  # noqa: F811
    press: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holding, "TIMEOUT", 0.2)
    with answering({"edge": "old", "devices": [{"id": "press-1"}]}) as port:
        use(monkeypatch, port)
        result = write(machine, press, "speed", "12.5", "--yes")
    assert (result.exit_code, machine.get("speed")) == (1, 10.0)
    assert "an edge of another version" in result.stderr
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use(monkeypatch, silent.getsockname()[1])
        result = write(machine, press, "speed", "12.5", "--yes")
    assert (result.exit_code, machine.get("speed")) == (1, 10.0)
    assert "does not answer (ReadTimeout)" in result.stderr


def test_the_port_is_that_of_edge_yaml(
    machine: ModbusServer,  # noqa: F811
    press: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with answering(health(machine.url)) as port:
        text = f"edge: hall-2\nsite: s.yaml\nprofiles: p\ndata: d\napi: {{port: {port}}}\n"
        (tmp_path / "edge.yaml").write_text(text)
        assert write(machine, press, "speed", "12.5", "--yes").exit_code == 1
        (tmp_path / "edge.yaml").rename(tmp_path / "hall.yaml")
        assert write(machine, press, "speed", "12.5", "--yes", "--edge", "hall.yaml").exit_code == 1
        wrong = write(machine, press, "speed", "12.5", "--yes", "--edge", "hal.yaml")
        assert (wrong.exit_code, "there is no file hal.yaml" in wrong.stderr) == (1, True)
        (tmp_path / "hall.yaml").write_text(text.replace("site", "sit"))
        broken = write(machine, press, "speed", "12.5", "--yes", "--edge", "hall.yaml")
        assert broken.exit_code == 1
        assert "not known which edge might hold" in broken.stderr
    assert machine.get("speed") == 10.0


def test_no_program_is_sent_past_an_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, folder, program = tmp_path / "mill.yaml", tmp_path / "nc", tmp_path / "O1.nc"
    folder.mkdir()
    program.write_text("M30\n")
    profile.write_text(
        "vendor: A\nmodel: B\nprotocol: modbus\nfiles: {path: " + str(folder) + "}\n"
        'tags: {a: {address: "holding:0", type: uint16}}\n'
    )
    with answering(health("modbus://127.0.0.1:1?unit=1")) as port:
        use(monkeypatch, port)
        result = onelot_driver(
            "files",
            "put",
            "modbus://127.0.0.1:1?unit=1",
            str(program),
            "--profile",
            str(profile),
            "--yes",
            "--actor",
            "kim",
        )
    assert result.exit_code == 1
    assert "holds this machine as press-1" in result.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("modbus://127.0.0.1?unit=1", "modbus+rtutcp://localhost:502?unit=1", True),
        ("modbus://10.0.0.1?unit=1", "modbus://10.0.0.1?unit=2", False),
        ("modbus://10.0.0.1", "modbus://10.0.0.1?unit=2", True),
        ("modbus://10.0.0.1?unit=1", "modbus://10.0.0.2?unit=1", False),
        ("modbus://10.0.0.1:5020?unit=1", "modbus://10.0.0.1?unit=1", False),
        ("modbus+rtu:///dev/ttyS0?unit=1&baud=9600", "modbus+rtu:///dev/ttyS0?unit=1", True),
        ("modbus+rtu:///dev/ttyS0?unit=1", "modbus+rtu:///dev/ttyS1?unit=1", False),
        ("opc.tcp://10.0.0.1", "opc.tcp://10.0.0.1:4840/path", True),
        ("vda5050://10.0.0.1/u/m/1", "vda5050://me:no@10.0.0.1:1883/u/m/1", True),
        ("vda5050://10.0.0.1/u/m/1", "vda5050://10.0.0.1/u/m/2", False),
    ],
)
def test_what_counts_as_one_machine(one: str, other: str, same: bool) -> None:
    assert place_of(one).may_be(place_of(other)) is same
    assert place_of(other).may_be(place_of(one)) is same

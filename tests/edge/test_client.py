"""The client of the edge API against what is no edge of its version."""

import asyncio
from pathlib import Path

import pytest
import typer
import websockets

from edge.client import EdgeClient, EdgeRefusedError, checked
from edge.terminal.main import command


@pytest.mark.parametrize("url", ["http://127.0.0.1:8801", "https://edge-1.shop.example/machining"])
def test_an_address_with_scheme_and_host_is_one(url: str) -> None:
    assert checked(url) == url


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8801", "localhost:8801", "http:8801", "http://", "http://edge:port", "ws://edge"]
)
def test_a_terminal_is_told_what_an_address_looks_like(url: str, tmp_path: Path) -> None:
    (tmp_path / "api.token").write_text("token")
    with pytest.raises(typer.BadParameter, match=r"is not the address of an edge: write http://127\.0\.0\.1"):
        command("brake-1", edge=url, token_file=tmp_path / "api.token")


@pytest.mark.parametrize("actor", ["Jürgen Müller", "K7 ", "@K7", "a" * 17])
def test_a_name_is_no_pseudonym(actor: str, tmp_path: Path) -> None:
    (tmp_path / "api.token").write_text("token")
    with pytest.raises(typer.BadParameter, match=r"is no pseudonym: 1 to 16 letters, digits or \"-\""):
        command("brake-1", token_file=tmp_path / "api.token", actor=actor)


async def test_a_snapshot_of_another_version_ends_the_terminal_with_what_to_do() -> None:
    async def newer(socket: websockets.ServerConnection) -> None:
        await socket.send('{"station": 7}')
        await socket.wait_closed()

    async with asyncio.timeout(20), websockets.serve(newer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with EdgeClient(f"http://127.0.0.1:{port}", "token") as client:
            with pytest.raises(EdgeRefusedError, match="update the terminal"):
                await anext(aiter(client.live("brake-1")))

"""A release list with its programs, for tests."""

from __future__ import annotations

from pathlib import Path

from drivers.programs import sha256

V1, V2 = b"%\nO1000\nG0 X0\nM30\n%\n", b"%\nO1000\nG0 X1\nM30\n%\n"


def release_list(
    folder: Path, content: bytes = V1, *, target: str = "devices: [press-1]", **more: str
) -> Path:
    """``releases.yaml`` with the one program O1000, which is ``O1000.nc`` at the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "O1000.nc").write_bytes(content)
    lines = "".join(f"    {key}: {value}\n" for key, value in more.items())
    (folder / "releases.yaml").write_text(
        "releases:\n"
        "  - program: O1000\n"
        "    file: O1000.nc\n"
        f"    sha256: {sha256(content)}\n"
        "    name: O1000.nc\n"
        f"    {target}\n"
        "    released_by: E4\n"
        "    date: 2026-11-20\n"
        f"{lines}"
    )
    return folder / "releases.yaml"

"""A signed model for running machines, and the key it is signed with."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from protocols.prognostics import model_file
from protocols.prognostics.model import Model
from protocols.prognostics.rows import RowKind
from tests.protocols.prognostics import grown

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {model_file.key_id(PUBLIC): PUBLIC}
BY_CYCLE = RowKind(counter="cycle")


def model(seed: int = 1, row: RowKind | None = BY_CYCLE) -> Model:
    """The model of the tests: speed is its condition; vibration, temperature and current its signals."""
    return replace(grown.model(seed), row=row)


def data(seed: int = 1, row: RowKind | None = BY_CYCLE) -> bytes:
    """Its file."""
    return model_file.write(model(seed, row), KEY)


def public_key(folder: Path) -> Path:
    """The file of the public key."""
    path = folder / "signing.pem.pub"
    public = KEY.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(public)
    return path

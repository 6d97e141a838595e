"""The key that signs models, as files: ``NAME`` (private, PEM) and ``NAME.pub`` (public, PEM).

The private file stays with the service that trains; edges and other services get the public one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.prognostics.model_file import key_id
from protocols.prognostics.public_keys import NoPublicKeyError, public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC = ".pub"


class KeyRefusedError(ValueError):
    """A key file cannot be read, is no Ed25519 key, or stands where a new one was to be written."""


def make(path: Path) -> str:
    """Write a new pair of keys; its id. Raises KeyRefusedError where a file stands already."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    for file, content, mode in ((path, private, 0o600), (_public_file(path), public, 0o644)):
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
                opened.write(content)
        except FileExistsError:
            raise KeyRefusedError(f"{file}: is there already; a key is not overwritten") from None
        except OSError as error:
            raise KeyRefusedError(f"{file}: {error.strerror or error}") from None
    return key_id(key.public_key().public_bytes_raw())


def load(path: Path) -> Ed25519PrivateKey:
    """The private key in a file; raises KeyRefusedError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _content(path)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyRefusedError(
            f"{path}: not a private key of Ed25519 in PEM: `onelot maintenance key {path}` makes one"
        )
    return key


def trusted(paths: Iterable[Path]) -> dict[str, bytes]:
    """The public keys in files by id, as a model file is checked against; raises KeyRefusedError."""
    found = {}
    for path in paths:
        content = _content(path)
        try:
            name, raw = public_key(content, str(path))
        except NoPublicKeyError as error:
            raise KeyRefusedError(str(error)) from None
        found[name] = raw
    return found


def _public_file(path: Path) -> Path:
    return path.with_name(path.name + PUBLIC)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyRefusedError(f"{path}: {error.strerror or error}") from None

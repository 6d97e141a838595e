"""Public keys of who may sign models: PEM (SubjectPublicKeyInfo) of Ed25519, known by their id."""

from __future__ import annotations

from protocols.prognostics.model_file import key_id


class NoPublicKeyError(ValueError):
    """Not a public key of Ed25519 in PEM; begins with the name of where it came from."""


def public_key(content: bytes, name: str) -> tuple[str, bytes]:
    """The id of a key and its 32 bytes, as a model file is checked against; raises NoPublicKeyError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise NoPublicKeyError(f"{name}: not a public key of Ed25519 in PEM (the file ending in .pub)")
    raw = key.public_bytes_raw()
    return key_id(raw), raw

"""The file of a model: canonical JSON with its hash and an Ed25519 signature.

``{"onelot_model":1,"sha256":…,"signed_by":…,"signature":…,"model":{…}}`` in exactly that form: no blank, no
other order. The hash is over the bytes of ``model``, the signature over the hash with a word before it that
keeps it from being taken for anything else. Whatever byte is changed, the file is refused.

Ed25519 (RFC 8032) rather than an HMAC: an edge that can check a model cannot make one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from protocols.prognostics.model import Model, Prognoser

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024
"""Of a model file; one of 600 trees has about one million."""

_CONTEXT = b"onelot model\n"


class ModelRefusedError(ValueError):
    """A model file is damaged, not signed by somebody trusted, or of another version."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    onelot_model: int
    sha256: str
    signed_by: str
    signature: str
    model: msgspec.Raw


_decode_file = msgspec.json.Decoder(_File).decode
_decode_model = msgspec.json.Decoder(Model).decode


def write(model: Model, key: Ed25519PrivateKey | None = None) -> bytes:
    """The file of ``model``, signed where there is a key."""
    body = msgspec.json.encode(model)
    digest = hashlib.sha256(body).hexdigest()
    signed_by, signature = "", ""
    if key is not None:
        signed_by = key_id(key.public_key().public_bytes_raw())
        signature = key.sign(_CONTEXT + digest.encode()).hex()
    return msgspec.json.encode(_File(FORMAT, digest, signed_by, signature, msgspec.Raw(body)))


def read(data: bytes, name: str, trusted: Mapping[str, bytes] | None) -> Model:
    """The model of a file; raises ModelRefusedError, which begins with ``name``.

    ``trusted`` are the public keys (32 bytes) that may sign, by :func:`key_id`. None asks for no signature,
    for a person who looks at a file of their own; the hash must be right all the same, and a signature that
    is there is not looked at.
    """
    if len(data) > MAX_BYTES:
        raise ModelRefusedError(f"{name}: {len(data)} bytes, a model file has at most {MAX_BYTES}")
    try:
        file = _decode_file(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelRefusedError(f"{name}: not a model file of OneLot, or damaged ({error})") from None
    if file.onelot_model != FORMAT:
        raise ModelRefusedError(
            f"{name}: written in format {file.onelot_model}, this version of OneLot reads {FORMAT}: "
            "train it again, or update this side"
        )
    if msgspec.json.encode(file) != data:
        raise ModelRefusedError(f"{name}: not as it was written (its form was changed): fetch the file again")
    body = bytes(file.model)
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise ModelRefusedError(
            f"{name}: changed after it was written (its SHA-256 is not {file.sha256[:12]}…): "
            "fetch the file again"
        )
    if trusted is not None:
        _check_signature(file, name, trusted)
    try:
        model = _decode_model(body)
        Prognoser(model)
    except ValueError as error:  # msgspec's ValidationError is one
        raise ModelRefusedError(f"{name}: contradicts itself: {error}") from None
    return model


def key_id(public: bytes) -> str:
    """The short name of a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def identity(data: bytes) -> str:
    """The SHA-256 that a model file names: the identity of its model."""
    return _decode_file(data).sha256


def _check_signature(file: _File, name: str, trusted: Mapping[str, bytes]) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not file.signed_by:
        raise ModelRefusedError(f"{name}: not signed: sign it with the service's key when it is trained")
    public = trusted.get(file.signed_by)
    if public is None:
        known = ", ".join(sorted(trusted)) or "none"
        raise ModelRefusedError(f"{name}: signed by key {file.signed_by}, trusted here: {known}")
    try:
        signature = bytes.fromhex(file.signature)
        if signature.hex() != file.signature:
            raise ValueError("not as it was written")
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _CONTEXT + file.sha256.encode())
    except (ValueError, InvalidSignature):
        raise ModelRefusedError(f"{name}: the signature of key {file.signed_by} is wrong") from None

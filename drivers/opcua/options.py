"""What can be set for the connection to one OPC UA server."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator

from drivers.driver import Options
from drivers.opcua.profile import parse_node
from drivers.opcua.trust import Fault
from protocols.documents import Finding, Findings


class SecurityPolicy(StrEnum):
    """How the connection is secured. ``none`` only when it is said so."""

    NONE = "none"
    BASIC256SHA256 = "Basic256Sha256"
    AES128_SHA256_RSAOAEP = "Aes128Sha256RsaOaep"
    AES256_SHA256_RSAPSS = "Aes256Sha256RsaPss"


class SecurityMode(StrEnum):
    """What a policy other than none does to every message."""

    SIGN = "Sign"
    SIGN_AND_ENCRYPT = "SignAndEncrypt"


class Updates(StrEnum):
    """How values come."""

    SUBSCRIBE = "subscribe"
    POLL = "poll"


class OpcuaOptions(Options):
    """Options of one server. ``security`` has no default: plain text must be asked for."""

    security: SecurityPolicy = Field(description="none must be said; there is no silent fall-back to it")
    mode: SecurityMode = Field(
        default=SecurityMode.SIGN_AND_ENCRYPT, description="with any security but none"
    )
    pki: Path | None = Field(
        default=None,
        description="folder of own, trusted and rejected certificates; else the edge's, or the user's own",
    )
    certificate: Path | None = Field(
        default=None, description="our application certificate; one in pki is made when left out"
    )
    private_key: Path | None = Field(default=None, description="its key")
    server_certificate: Path | None = Field(
        default=None, description="the one certificate we trust, whatever the trust list says"
    )
    tolerate: tuple[Fault, ...] = Field(
        default=(), description="what may be wrong with a server's certificate that is trusted"
    )
    username: str | None = Field(default=None, description="anonymous when left out")
    password: SecretStr | None = Field(default=None, description="of that user")
    plain_password: bool = Field(
        default=False, description="send the password as plain text where a server takes it no other way"
    )
    user_certificate: Path | None = Field(default=None, description="log in with a certificate instead")
    user_private_key: Path | None = Field(default=None, description="its key")
    updates: Updates = Field(
        default=Updates.SUBSCRIBE, description="poll, where a server's subscriptions are of no use"
    )
    notifier: str = Field(default="i=2253", description="node that tells of alarms; the server unless given")
    timeout: float = Field(default=4.0, gt=0, le=60, description="seconds to wait for an answer")
    watchdog: float = Field(default=5.0, ge=1, le=600, description="seconds without data or keep-alive: lost")
    queue: int = Field(default=10, ge=1, le=1000, description="values the server keeps between two messages")

    @field_validator("security", mode="before")
    @classmethod
    def _none_in_any_case(cls, security: Any) -> Any:
        return security.lower() if isinstance(security, str) and security.lower() == "none" else security

    @field_validator("notifier")
    @classmethod
    def _is_node(cls, notifier: str) -> str:
        parse_node(notifier)
        return notifier

    @model_validator(mode="after")
    def _has_what_security_needs(self) -> OpcuaOptions:
        findings = [
            Finding((missing,), f"{there} needs {missing}: the path of a .der or .pem file")
            for pair in (("certificate", "private_key"), ("user_certificate", "user_private_key"))
            for there, missing in (pair, pair[::-1])
            if getattr(self, there) is not None and getattr(self, missing) is None
        ]
        if self.password is not None and self.username is None:
            findings.append(Finding(("password",), "a password needs a username"))
        if self.username is not None and self.user_certificate is not None:
            findings.append(Finding(("user_certificate",), "either a user name or a certificate, not both"))
        if findings:
            raise Findings(findings)
        return self

    @property
    def pki_folder(self) -> Path:
        """Where our certificate and those of trusted servers are."""
        return self.pki or user_pki()


def user_pki() -> Path:
    """The PKI folder of the user who runs a command, where none is given."""
    given = os.environ.get("XDG_DATA_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path.home() / ".local" / "share") / "onelot" / "pki"

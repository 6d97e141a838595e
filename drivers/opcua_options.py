"""What can be set for the connection to one OPC UA server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator

from drivers.driver import Options
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


class OpcuaOptions(Options):
    """Options of one server. ``security`` has no default: plain text must be asked for."""

    security: SecurityPolicy = Field(description="none must be said; there is no silent fall-back to it")
    mode: SecurityMode = Field(
        default=SecurityMode.SIGN_AND_ENCRYPT, description="with any security but none"
    )
    certificate: Path | None = Field(default=None, description="our application certificate")
    private_key: Path | None = Field(default=None, description="its key")
    server_certificate: Path | None = Field(default=None, description="the one certificate we trust")
    username: str | None = Field(default=None, description="anonymous when left out")
    password: SecretStr | None = Field(default=None, description="of that user")
    timeout: float = Field(default=4.0, gt=0, le=60, description="seconds to wait for an answer")
    watchdog: float = Field(default=5.0, ge=1, le=600, description="seconds without data or keep-alive: lost")
    queue: int = Field(default=10, ge=1, le=1000, description="values the server keeps between two messages")

    @field_validator("security", mode="before")
    @classmethod
    def _none_in_any_case(cls, security: Any) -> Any:
        return security.lower() if isinstance(security, str) and security.lower() == "none" else security

    @model_validator(mode="after")
    def _has_what_security_needs(self) -> OpcuaOptions:
        needed = (
            ()
            if self.security is SecurityPolicy.NONE
            else ("certificate", "private_key", "server_certificate")
        )
        findings = [
            Finding((name,), f"security {self.security} needs {name}: the path of a .der or .pem file")
            for name in needed
            if getattr(self, name) is None
        ]
        if self.password is not None and self.username is None:
            findings.append(Finding(("password",), "a password needs a username"))
        if findings:
            raise Findings(findings)
        return self

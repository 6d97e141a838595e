"""How ``edge.yaml`` and ``cloud.yaml`` name the MQTT broker: where it is and how to log in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.documents import Finding, Findings

PORT, TLS_PORT = 1883, 8883


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Part):
    """Files in PEM. Without ``ca`` the system's trusted authorities count; ``cert`` and ``key`` are ours."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            missing, given = ("key", "cert") if self.key is None else ("cert", "key")
            raise Findings([Finding((given,), f"a client certificate needs both: add {missing}")])
        return self


class Broker(_Part):
    """The MQTT broker. ``port`` is 8883 with TLS and 1883 without, unless given; ``version`` auto tries
    MQTT 5 first, then 3.1.1.
    """

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65_535)
    username: str = ""
    password_file: Path | None = Field(default=None, description="file whose first line is the password")
    tls: Tls | None = None
    version: Literal["auto", "5", "3.1.1"] = Field(default="auto", description="of MQTT")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (PORT if self.tls is None else TLS_PORT)

    @property
    def password(self) -> str:
        """The password; "" without a file. Raises OSError when the file cannot be read."""
        if self.password_file is None:
            return ""
        return (self.password_file.read_text(encoding="utf-8").splitlines() or [""])[0]

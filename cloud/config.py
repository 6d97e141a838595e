"""``cloud.yaml``: where the service keeps its data, what it connects to, what it listens on.

Relative paths are relative to the file. Only ``site`` has no default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from cloud.dispatching.settings import DispatchSettings
from cloud.mqtt import Address, Tls
from protocols import documents
from protocols.broker import Broker
from protocols.documents import Document, DocumentError, Finding, Findings, Problem
from protocols.site import Site

P = TypeVar("P", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpConfig(_Part):
    """Where page and API are served. Other than loopback belongs behind TLS."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)


class InfluxConfig(_Part):
    """InfluxDB, or what speaks its protocol; see the history's ``InfluxSettings``."""

    url: str
    database: str = "onelot"
    api: Literal["v1", "v2"] = "v2"
    org: str = "onelot"
    token_file: Path | None = None


class HistoryConfig(_Part):
    """Where samples are kept for charts: files of our own, or InfluxDB."""

    adapter: Literal["sqlite", "influxdb"] = "sqlite"
    influxdb: InfluxConfig | None = None
    keep_days: int = Field(default=365, ge=1, description="older samples are deleted (sqlite)")

    @model_validator(mode="after")
    def _has_its_server(self) -> HistoryConfig:
        if self.adapter == "influxdb" and self.influxdb is None:
            raise Findings(
                [Finding(("adapter",), "influxdb needs to know its server: add influxdb: {url: …}")]
            )
        return self


class RetentionConfig(_Part):
    """How long the ledger keeps telemetry that is in the history, and how long blocks of waveforms are kept
    (of more than so many bytes the newest). Everything else is kept for ever.
    """

    telemetry_hours: float = Field(default=168.0, gt=0)
    waveform_days: float = Field(default=365.0, gt=0)
    waveform_bytes: int = Field(default=1 << 30, ge=1 << 20)


TopicId = Annotated[str, StringConstraints(pattern=r"^[^+/#]{1,64}$")]


class SparkplugConfig(_Part):
    """Other people's Sparkplug B nodes: the groups that are taken in, and this host's own id."""

    groups: tuple[TopicId, ...] = Field(min_length=1, max_length=50, description="Sparkplug group ids")
    host: TopicId = Field(default="onelot", description="id in spBv1.0/STATE/<id>, for primary-host nodes")
    broker: Broker | None = Field(default=None, description="where the nodes are; empty: the cloud's broker")


class CloudConfig(_Part):
    """The root of ``cloud.yaml``. ``maintenance`` holds the settings of that service."""

    site: Path
    data: Path = Path("data")
    database: str = Field(default="", description="postgresql+psycopg://… ; empty: SQLite below data")
    broker: Broker = Broker()
    http: HttpConfig = HttpConfig()
    history: HistoryConfig = HistoryConfig()
    retention: RetentionConfig = RetentionConfig()
    maintenance: dict[str, Any] = Field(default_factory=dict)
    dispatch: DispatchSettings = DispatchSettings()
    sparkplug: SparkplugConfig | None = None

    @field_validator("database")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        if url:
            from cloud.store.database import parse_url

            try:
                parse_url(url)
            except ValueError as error:  # said without the value, which may hold a password
                raise Findings([Finding((), str(error))]) from None
        return url

    @field_validator("maintenance")
    @classmethod
    def _is_maintenance(cls, settings: dict[str, Any]) -> dict[str, Any]:
        from cloud.maintenance.service import Settings

        _known(settings, Settings)
        msgspec.convert(settings, Settings)
        return settings

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL: as given, else a SQLite file in ``data``."""
        return self.database or f"sqlite:///{self.data / 'cloud.db'}"

    def broker_address(self, of: Broker | None = None) -> Address:
        """Where a broker (ours unless given) is, with the password read from its file; raises OSError when
        that is missing."""
        broker = of or self.broker
        tls = broker.tls
        return Address(
            *broker.address,
            broker.username,
            broker.password,
            Tls(tls.ca, tls.cert, tls.key) if tls is not None else None,
            broker.version,
        )


def _known(settings: dict[str, Any], kind: Any) -> None:
    """Refuse keys that the settings do not have, at any depth; raises ValueError."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in settings.items():
        if name not in fields:
            raise ValueError(f'unknown key "{name}": {documents.not_one_of(name, fields)}')
        if isinstance(value, dict) and isinstance(fields[name], type):
            _known(value, fields[name])


def load_config(path: Path) -> CloudConfig:
    """Read ``cloud.yaml``; raises DocumentError with every mistake and its place."""
    document = documents.read(path)
    folder = path.resolve().parent
    config = _absolute(document.validate(CloudConfig), folder)
    keys = [str(folder / Path(key).expanduser()) for key in config.maintenance.get("trusted_keys", ())]
    if keys:
        config = config.model_copy(update={"maintenance": {**config.maintenance, "trusted_keys": keys}})
    _check_files(document, config)
    return config


def load_site(config: CloudConfig) -> Site:
    """Read the site the configuration names; raises DocumentError."""
    return documents.load(config.site, Site)


def _check_files(document: Document, config: CloudConfig) -> None:
    """Secrets and certificates must be there before anything starts."""
    influx, sparkplug = config.history.influxdb, config.sparkplug
    brokers: dict[tuple[str, ...], Broker] = {("broker",): config.broker}
    if sparkplug is not None and sparkplug.broker is not None:
        brokers["sparkplug", "broker"] = sparkplug.broker
    named: dict[tuple[str, ...], Path | None] = {}
    for at, broker in brokers.items():
        named[*at, "password_file"] = broker.password_file
        if broker.tls is not None:
            named |= {(*at, "tls", name): getattr(broker.tls, name) for name in ("ca", "cert", "key")}
    if influx is not None:
        named["history", "influxdb", "token_file"] = influx.token_file
    problems = [
        document.problem(where, f"there is no file {path}")
        for where, path in named.items()
        if path is not None and not path.is_file()
    ]
    problems += _wrong_keys(document, config)
    if problems:
        raise DocumentError(problems)


def _wrong_keys(document: Document, config: CloudConfig) -> list[Problem]:
    """Files that are no public keys, each with its place."""
    named = config.maintenance.get("trusted_keys", ())
    if not named:
        return []
    from cloud.maintenance.rul.keys import KeyRefusedError, trusted

    problems = []
    for place, path in enumerate(named):
        try:
            trusted([Path(path)])
        except KeyRefusedError as error:
            problems.append(document.problem(("maintenance", "trusted_keys", place), str(error)))
    return problems


def _absolute(config: P, base: Path) -> P:
    """The configuration with every path resolved against ``base``."""
    changed: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Path):
            changed[name] = base / value.expanduser()
        elif isinstance(value, BaseModel):
            changed[name] = _absolute(value, base)
    return config.model_copy(update=changed)

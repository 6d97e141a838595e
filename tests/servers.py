"""Real servers for tests: started on free loopback ports, in folders of their own, by whoever runs pytest.

No system service is used or needed. A session fixture (``mosquitto``, ``postgres``, ``influxdb``,
``victoriametrics``) is shared and must be left running; a test that kills or stops its server makes its own:
``with MosquittoServer(tmp_path) as broker: broker.kill()``.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

START_S = 30.0
STOP_S = 15.0


# --- what is on this machine ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What a test may need: a program (or the path of a file), and the Debian package that brings it."""

    program: str
    package: str


NEEDS = {
    "mosquitto": Need("mosquitto", "mosquitto"),
    "mosquitto-clients": Need("mosquitto_sub", "mosquitto-clients"),
    "postgres": Need("initdb", "postgresql"),
    "influxdb": Need("influxd", "influxdb"),
    "victoriametrics": Need("victoria-metrics", "victoria-metrics"),
    "chromium": Need("chromium", "chromium"),
    "tmux": Need("tmux", "tmux"),
    "cc": Need("cc", "gcc"),
    "mbpoll": Need("mbpoll", "mbpoll"),
    "libmodbus": Need("/usr/include/modbus/modbus.h", "libmodbus-dev"),
    "npm": Need("npm", "npm"),
}


def find_program(name: str) -> str | None:
    """The path of an executable, looked up on PATH, in the sbin folders and in PostgreSQL's own.

    An absolute path stands for itself: a file that must be there, executable or not.
    """
    if os.path.isabs(name):
        return name if os.path.exists(name) else None
    postgres = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join([*postgres, os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])
    return shutil.which(name, path=path)


def require(name: str) -> str:
    """The path of what ``name`` (a key of ``NEEDS``) stands for; skips the test, or fails it in CI."""
    need = NEEDS.get(name)
    if need is None:
        pytest.fail(f"needs({name!r}): not one of {', '.join(NEEDS)}")
    found = find_program(need.program)
    if found is not None:
        return found
    reason = f"{need.program} is not on this machine; Debian package: {need.package}"
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI is set, so this is a failure and not a skip)")
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# --- a server as a process ------------------------------------------------------------------------------


class Server(ABC):
    """One server process on one port; keeps the port and its data over ``kill`` and ``start``."""

    needs: str
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.host = "127.0.0.1"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Everything the server printed, over all its starts."""
        return self.folder / f"{self.needs}.log"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None else None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line that runs the server in the foreground; may write its configuration first."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers. Called until it says yes; OSError counts as no."""

    def run_as(self) -> dict[str, Any]:
        """Extra arguments for Popen (user, environment)."""
        return {}

    def start(self) -> None:
        """Start and wait until it answers; AssertionError with the end of its log when it does not."""
        if self._process is not None:
            raise AssertionError(f"{self.needs} is already running as process {self._process.pid}")
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, **self.run_as())
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if self.is_ready():
                    return
            time.sleep(0.02)
        code = self._process.poll()
        self.kill()
        tail = self.log.read_text(errors="replace")[-2000:]
        raise AssertionError(f"{self.needs} did not answer in {START_S:g} s (exit code {code}):\n{tail}")

    def stop(self) -> None:
        """Ask it to end and wait; killed when it takes longer than ``STOP_S``. Harmless when not running."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """``kill -9``: no last write, no goodbye. Harmless when not running."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """``stop`` and ``start`` on the same port, with the same data."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _accepts(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=1):
        return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:  # noqa: S310 - loopback only
            return bool(reply.status < 300)
    except urllib.error.HTTPError as error:
        error.close()
        return False


class MosquittoServer(Server):
    """A Mosquitto broker; ``options`` are further lines of its configuration file.

    >>> with MosquittoServer(tmp_path, "max_queued_messages 100") as broker:  # doctest: +SKIP
    ...     broker.kill()
    ...     broker.start()
    """

    needs = "mosquitto"

    def __init__(self, folder: Path, *options: str, allow_anonymous: bool = True) -> None:
        super().__init__(folder)
        self.options = options
        self.allow_anonymous = allow_anonymous

    @property
    def url(self) -> str:
        """``mqtt://127.0.0.1:PORT``."""
        return f"mqtt://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        lines = [
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'true' if self.allow_anonymous else 'false'}",
            *self.options,
        ]
        if os.name == "posix" and os.geteuid() == 0:
            lines.insert(0, "user root")  # it would become "mosquitto" and lose sight of its folder
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return [require(self.needs), "-c", str(config)]

    def is_ready(self) -> bool:
        return _accepts(self.host, self.port)


class PostgresServer(Server):
    """A PostgreSQL cluster of its own, tuned to start and forget quickly (no fsync).

    PostgreSQL refuses to run as root, so root runs it as ``postgres`` (or ``nobody``), in a folder that user
    may enter.
    """

    needs = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions instead of waiting for them

    @property
    def data(self) -> Path:
        """The cluster's data folder."""
        return self.folder / "data"

    def run_as(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        import pwd  # exists on POSIX only, like the user root

        names = {entry.pw_name for entry in pwd.getpwall()}
        account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        shutil.chown(self.folder, account.pw_uid, account.pw_gid)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": self.folder}

    def command(self) -> Sequence[str]:
        initdb = Path(require(self.needs))
        if not (self.data / "PG_VERSION").exists():
            choices = ["--username=onelot", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
            make = [str(initdb), f"--pgdata={self.data}", *choices]
            made = subprocess.run(make, capture_output=True, text=True, check=False, **self.run_as())
            if made.returncode:
                raise AssertionError(f"initdb failed: {made.stdout}{made.stderr}")
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "50",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [str(initdb.with_name("postgres")), "-D", str(self.data), *options]

    def is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database of this cluster."""
        return f"postgresql+psycopg://onelot@{self.host}:{self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """A new empty database: yields its SQLAlchemy URL and drops it, sessions included, afterwards."""
        name = f"t{uuid.uuid4().hex}"
        self._execute(f'CREATE DATABASE "{name}"')
        try:
            yield self.url(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _conninfo(self, database: str) -> str:
        return f"host={self.host} port={self.port} user=onelot dbname={database}"

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


class InfluxServer(Server):
    """InfluxDB 1.x (Debian's 1.6): ``/write`` and InfluxQL on ``/query``. It answers 404 on the v2 API."""

    needs = "influxdb"

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        config = self.folder / "influxdb.conf"
        config.write_text(
            f"""
            reporting-enabled = false
            bind-address = "{self.host}:0"
            [meta]
            dir = "{self.folder / "meta"}"
            [data]
            dir = "{self.folder / "data"}"
            wal-dir = "{self.folder / "wal"}"
            [monitor]
            store-enabled = false
            [http]
            bind-address = "{self.host}:{self.port}"
            log-enabled = false
            """
        )
        return [require(self.needs), "run", "-config", str(config)]

    def is_ready(self) -> bool:
        return _answers(f"{self.url}/ping")


class VictoriaMetricsServer(Server):
    """VictoriaMetrics, single node: takes InfluxDB v1 and v2 writes; ``/api/v1/export`` reads them."""

    needs = "victoriametrics"

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self.host}:{self.port}"

    def command(self) -> Sequence[str]:
        return [
            require(self.needs),
            f"-httpListenAddr={self.host}:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=128MB",
            "-search.latencyOffset=0s",
        ]

    def is_ready(self) -> bool:
        return _answers(f"{self.url}/health")

    def flush(self) -> None:
        """Hurry what was written into view: about a second of flush and poll, by itself up to ten."""
        if not _answers(f"{self.url}/internal/force_flush"):
            raise AssertionError("VictoriaMetrics refused /internal/force_flush")


# --- fixtures -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoServer]:
    """A broker shared by the session: use topics of your own and leave it running."""
    with MosquittoServer(tmp_path_factory.mktemp("mosquitto")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL cluster shared by the session; take a database with ``postgres_url``."""
    require("postgres")
    # pytest's own temporary folders are closed to the unprivileged user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="onelot-postgres-"))
    try:
        with PostgresServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database that is this test's alone."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """An InfluxDB 1.x shared by the session: create a database of your own."""
    with InfluxServer(tmp_path_factory.mktemp("influxdb")) as server:
        yield server


@pytest.fixture(scope="session")
def victoriametrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetricsServer]:
    """A VictoriaMetrics shared by the session: use measurement names of your own."""
    with VictoriaMetricsServer(tmp_path_factory.mktemp("victoriametrics")) as server:
        yield server


CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

OpenBrowser = Callable[[], AbstractAsyncContextManager[Any]]


@pytest.fixture
def chromium() -> OpenBrowser:
    """``async with chromium() as browser:`` gives a Playwright Browser (async API) driving Debian's Chromium.

    The asynchronous API, because Playwright's synchronous one leaves a running event loop in the main thread
    and every later ``asyncio.run`` would fail.
    """
    executable = require("chromium")

    @contextlib.asynccontextmanager
    async def browser() -> AsyncIterator[Any]:
        from playwright.async_api import async_playwright

        async with async_playwright() as playwright:
            opened = await playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
            try:
                yield opened
            finally:
                await opened.close()

    return browser

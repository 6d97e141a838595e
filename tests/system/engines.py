"""Engines that fly from a file through the whole chain, and whether the same is said of them as of the file.

Flights have the columns of NASA's C-MAPSS data. Virtual machines in a process of their own replay them, an
edge reads those with the profile ``virtual/turbofan``, and the service scores them with a signed model.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cloud.maintenance.benches.cmapss import CONDITIONS, SIGNALS
from drivers.profile.files import LIBRARY
from edge.life.tags import NAMES
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import ROOT, Process, onelot, quiet_port, until

EDGE, PROFILE = "hangar", "virtual/turbofan"
PATIENCE_S = 60.0
"""Of a request: the models are large, and a busy machine reads them slowly."""
HEADINGS = ("asset", "cycle", *CONDITIONS, *SIGNALS)

Flight = Sequence[float]
"""Settings and sensors of one cycle; NaN where a sensor told nothing."""


def flights(seed: int, life: int, *, flown: int | None = None) -> list[Flight]:
    """An engine that fails after ``life`` flights, or its first ones; its sensors show the wear more or less.

    Most numbers need 17 digits, and one in a hundred is missing.
    """
    rng = np.random.default_rng(seed)
    count = life if flown is None else flown
    wear = (np.arange(1, count + 1) / life) ** 3
    noise = rng.normal(0, 1, (count, len(CONDITIONS))) * [0.002, 0.0003, 0.0]
    settings = np.array([0.0, 0.0, 100.0]) + noise
    level, slope = np.linspace(1.3, 9046.19, len(SIGNALS)), np.linspace(-6, 6, len(SIGNALS))
    sensors = level + np.outer(wear, slope) + rng.normal(0, 0.5, (count, len(SIGNALS)))
    sensors[:, 0] = 518.67
    sensors[rng.random(sensors.shape) < 0.01] = np.nan
    found: list[Flight] = np.column_stack([settings, sensors]).tolist()
    return found


def write(path: Path, engines: Mapping[str, Sequence[Flight]]) -> Path:
    """The engines as a CSV file: each number as the shortest text that is that number again."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for name, flown in engines.items():
            for cycle, flight in enumerate(flown, 1):
                writer.writerow([name, cycle, *("" if v != v else repr(float(v)) for v in flight)])
    return path


def maintenance(*arguments: str | Path) -> str:
    """Run ``onelot maintenance …``; what it wrote."""
    answer = subprocess.run(onelot("maintenance", *arguments), cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def trained(folder: Path, engines: Path, *more: str) -> Path:
    """A model that was trained on engines that failed, signed with ``signing.pem``, for rows by ``cycle``.

    ``more`` are further options of ``onelot maintenance train``.
    """
    conditions: list[str | Path] = [word for name in CONDITIONS for word in ("--condition", name)]
    signing, model = folder / "signing.pem", folder / "model.json"
    maintenance("key", signing)
    maintenance(
        *("train", engines, "--time", "cycle", "--unit", "cycles", "--counter", "cycle"),
        *(*conditions, *more, "--key", signing, "--out", model),
    )
    return model


@dataclass(slots=True)
class Hangar:
    """A plant whose machines are the engines of a file."""

    plant: Plant
    engines: Process
    file: Path
    flown: Mapping[str, Sequence[Flight]]
    at_edge: Sequence[str]
    """Engines that the edge scores, too."""

    def take_off(self) -> None:
        """Start the engines: from now on they fly."""
        self.engines.start()

    async def use(self, model: Path) -> None:
        """Bring a model in and make it the one that counts."""
        content = await asyncio.to_thread(model.read_bytes)
        answer = await self.plant.api(
            "POST", "/maintenance/models", params={"scope": PROFILE}, content=content, timeout=PATIENCE_S
        )
        assert answer.status_code == 200, answer.text
        version = answer.json()["id"]
        for step in ("shadow", "activate"):
            path, why = f"/maintenance/models/{version}/{step}", {"reason": "trained on such engines"}
            answer = await self.plant.api("POST", path, json=why, timeout=PATIENCE_S)
            assert answer.status_code == 200, answer.text

    async def rows(self, engine: str) -> list[dict[str, Any]]:
        """The rows of an engine as the service stored them, with their scores, oldest first."""
        site = json.loads((self.plant.folder / "site/site.yaml").read_text("utf-8"))
        asset = next(one["asset"] for one in site["edges"][0]["devices"] if one["id"] == engine)
        path = f"/maintenance/assets/{asset}/life"
        answer = await self.plant.api("GET", path, params={"rows": 10_000}, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["rows"]
        return found

    async def told(self, engine: str) -> list[tuple[float | None, ...]]:
        """What the edge told of an engine after each row: life, lower and upper bound (None: the horizon)."""
        tags = {tag["path"]: tag["id"] for tag in await self.plant.get("/tags", device=engine)}
        columns = []
        for name in NAMES:
            path = f"/history/{tags[f'{engine}/{name}']}"
            history = await self.plant.get(path, start=0, end=2**62, points=100_000)
            doubtful = {row for row, _ in history["qualities"]}
            values = [None if at in doubtful else value for at, value in enumerate(history["values"])]
            columns.append(values)
        return list(zip(*columns, strict=True))

    async def scored(self, rows: int, seconds: float) -> None:
        """Wait until so many rows of every engine are stored, or all that it flew."""
        waiting = set(self.flown)

        async def are_stored() -> bool:
            self.plant.check()
            for engine in sorted(waiting):
                found = await self.rows(engine)
                if len(found) < min(rows, len(self.flown[engine])):
                    return False
                waiting.discard(engine)
            return True

        await until(are_stored, f"{rows} rows of every engine are stored", seconds, 0.5)

    async def cut_off(self, seconds: float) -> tuple[int, int]:
        """The broker is away for so long, and the service is killed and started again meanwhile.

        Gives when the link broke and when edge and service had each other again, in µs UTC.
        """
        broke = time.time_ns() // 1000
        await asyncio.to_thread(self.plant.broker.stop)
        await self.plant.cloud.kill()
        await asyncio.sleep(seconds)
        self.plant.cloud.start()
        await asyncio.to_thread(self.plant.broker.start)
        await self.plant.ready()
        return broke, time.time_ns() // 1000

    async def landed(self, seconds: float) -> None:
        """Wait until all that was flown is stored."""
        assert await self.engines.ended(seconds) == 0, self.engines.tail()
        await self.scored(max(map(len, self.flown.values())), 90)


@contextlib.asynccontextmanager
async def hangar(
    folder: Path, flown: Mapping[str, Sequence[Flight]], model: Path, interval: float, at_edge: int = 0
) -> AsyncIterator[Hangar]:
    """A plant that runs, and engines to fly a row every ``interval`` seconds once they take off.

    The edge scores the first ``at_edge`` of them by itself.
    """
    port, file = quiet_port(), write(folder / "engines.csv", flown)
    command = onelot(
        *("driver", "simulate", PROFILE, "--replay", file, "--each", "asset", "--every-row", "--once"),
        *("--interval", str(interval), "--port", str(port)),
    )
    engines = Process("engines", command, folder / "logs/engines.log")
    url = f"modbus://127.0.0.1:{port}?unit="
    patient = {"timeout": 20.0}  # an answer that comes too late would be a row that nobody has
    machines = [Machine(name, PROFILE, f"{url}{unit}", patient) for unit, name in enumerate(flown, 1)]
    keys = {"trusted_keys": [str(trusted(model))]}
    scored = list(flown)[:at_edge]
    models = [{"device": name, "file": str(model)} for name in scored]
    async with plant(
        folder,
        {EDGE: machines},
        profiles=LIBRARY,
        more_cloud={"maintenance": keys},
        more_edge={"life": {**keys, "models": models}} if models else None,
    ) as made:
        try:
            await made.start()
            yield Hangar(made, engines, file, flown, scored)
        finally:
            await engines.stop()


@dataclass(frozen=True, slots=True)
class Compared:
    """What was compared, and every difference in words."""

    rows: int
    numbers: int
    differences: Sequence[str]


def trusted(model: Path) -> Path:
    """The public key of a model that :func:`trained` made."""
    return model.with_name("signing.pem.pub")


async def compared(made: Hangar, model: Path) -> Compared:
    """Every stored row with the file's, and its score with what ``onelot maintenance score`` says."""
    words = ("score", model, made.file, "--time", "cycle", "--every", "--trust", trusted(model), "--json")
    told = json.loads(await asyncio.to_thread(maintenance, *words))
    content = json.loads(await asyncio.to_thread(model.read_bytes))["model"]
    places = [HEADINGS[2:].index(name) for name in (*content["conditions"], *content["signals"])]
    rows = numbers = 0
    differences: list[str] = []
    for engine, flown in made.flown.items():
        stored, wanted = await made.rows(engine), [one for one in told if one["asset"] == engine]
        if [row["count"] for row in stored] != list(range(1, len(flown) + 1)):
            differences.append(f"{engine}: rows {[row['count'] for row in stored]} instead of {len(flown)}")
            continue
        if [row["end"] for row in stored] != sorted({row["end"] for row in stored}):
            differences.append(f"{engine}: rows are not in the order of their times")
        unseen = 0
        for row, flight, score in zip(stored, flown, wanted, strict=True):
            unseen += row["regime"] < 0
            cells = [None if flight[at] != flight[at] else flight[at] for at in places]
            pairs = [*zip(row["values"], cells, strict=True), (row["missed"], 0), (unseen, score["unseen"])]
            pairs += [(row[name], score[name]) for name in ("life", "lower", "upper")]
            rows, numbers = rows + 1, numbers + len(pairs)
            # Both are numbers of JSON, each the shortest text of its double: equal is equal to the last bit,
            # but for the sign of a zero.
            differences += [
                f"{engine}, cycle {score['age']}: {found!r} is stored, the file says {due!r}"
                for found, due in pairs
                if found != due
            ]
        if engine in made.at_edge:
            due = [(score["life"], score["lower"], score["upper"]) for score in wanted]
            numbers += 3 * len(due)
            if await made.told(engine) != due:
                differences.append(f"{engine}: the edge tells something else")
    return Compared(rows, numbers, differences)

"""The public instances once more by PyJobShop (CP-SAT), on this machine, for the same time.

It lives in an environment of its own, which is made for it from the package index and thrown away
afterwards. Only by name: ``make bench ARGS="peer_pyjobshop"``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from cloud.dispatching.command.instance_bench import instance_files
from cloud.dispatching.files.formats import read_problem
from cloud.dispatching.shop.problem import Problem
from tests.bench.figures import Figure, Size, missing, progress
from tests.bench.instances import FOLDER, SETS, Set, best_known

VERSION = "0.0.9"

SCRIPT = """
import json, sys
from pyjobshop import Model

for line in sys.stdin:
    asked = json.loads(line)
    model = Model()
    machines = {name: model.add_machine(name=name) for name in asked["machines"]}
    for job in asked["jobs"]:
        before = None
        made = model.add_job()
        for step in job:
            task = model.add_task(made)
            for machine, seconds in step:
                model.add_mode(task, [machines[machine]], seconds)
            if before is not None:
                model.add_end_before_start(before, task)
            before = task
    found = model.solve("ortools", time_limit=asked["seconds"], num_workers=8, display=False)
    proved = "optimal" in str(found.status).lower()
    print(json.dumps({"makespan": found.objective, "proved": proved}), flush=True)
"""


async def run(size: Size) -> list[Figure]:
    """See the module."""
    wanted = [one for one in SETS if size in one.sizes and not one.proved]
    if not FOLDER.is_dir():
        return [missing("PyJobShop", "%", "no instances on this machine: see the bench instances")]
    with tempfile.TemporaryDirectory() as folder:
        progress(f"an environment for PyJobShop {VERSION}")
        python, lack = _environment(Path(folder))
        if lack:
            return [missing(f"PyJobShop {VERSION}", "%", lack)]
        return [_figure(python, one, 2 if size is Size.QUICK else None) for one in wanted]


def _environment(folder: Path) -> tuple[Path, str]:
    """Its Python, and why there is none."""
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--quiet", f"pyjobshop=={VERSION}"]
    made = subprocess.run(
        [Path(sys.base_prefix) / "bin" / "python3", *install], capture_output=True, text=True, check=False
    )
    return python, made.stderr.strip().splitlines()[-1] if made.returncode else ""


def _figure(python: Path, one: Set, most: int | None) -> Figure:
    known = best_known()
    gaps: list[float] = []
    proved = 0
    with subprocess.Popen(
        [python, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name, file in instance_files(FOLDER / one.folder)[:most]:
            progress(f"PyJobShop: {one.title}: {name}")
            asked = {"seconds": one.seconds, **_plain(read_problem(file, None).problem)}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            best = known.of(file)
            assert best is not None
            gaps.append(100 * (answer["makespan"] / best - 1))
            proved += answer["proved"]
        process.stdin.close()
    note = f"{proved} of {len(gaps)} proved; worst {max(gaps):.2f} %; {one.seconds:.0f} s, 8 workers"
    return Figure(f"PyJobShop {VERSION}, {one.title}: mean gap", sum(gaps) / len(gaps), "%", note=note)


def _plain(problem: Problem) -> dict[str, Any]:
    """Jobs as lists of steps, each a list of (machine, seconds): all that a classic instance says."""
    jobs: dict[str, list[list[tuple[str, int]]]] = {}
    for operation in problem.operations:
        step = [(a.machine, a.seconds) for a in operation.alternatives]
        jobs.setdefault(operation.job_id, []).append(step)
    return {"machines": [m.id for m in problem.machines], "jobs": list(jobs.values())}

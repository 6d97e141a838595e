"""A violation and a hold are painted at the terminals that they concern. How fast is for ``make bench``."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.dispatching.settings import DispatchSettings
from edge.station import commands as asked
from tests.cloud.orders.shop import open_database
from tests.edge.edges import edge_with_stations
from tests.edge.test_lots_on_hold import BAD, BRAKE, PACK, RUN, WELD, jobs, measure
from tests.system.holds import line, shown, terminal


async def test_a_violation_is_painted_where_it_was_measured_and_where_the_lot_goes_next(
    tmp_path: Path,
) -> None:
    async with edge_with_stations(tmp_path, places=(BRAKE, WELD, PACK)) as edge:
        await edge.stations.jobs_received(jobs())
        await edge.stations.perform("brake-1", asked.OpenRun(id=RUN, actor="K7", operations=("bend",)))
        async with terminal(edge, "brake-1") as brake, terminal(edge, "weld-1") as weld:
            await shown(brake, "Measure flange")
            await measure(edge, "25.42", BAD)
            await shown(brake, "■ HOLD Measure flange 25.42: above the tolerance")
            await weld.press("f1")
            await shown(weld, "■ on hold")
            await weld.press("down")
            await shown(weld, "on hold, measured here: Flange 25.42 mm: above the tolerance")


@pytest.mark.parametrize("solve_seconds", [0.0, 5.0])
async def test_a_hold_of_the_service_reaches_the_terminal_and_so_does_its_release(
    tmp_path: Path, solve_seconds: float
) -> None:
    """While it plans anew, too: stations hear of a hold before there is another plan."""
    database = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    settings = DispatchSettings(solve_seconds=solve_seconds, standby=False)
    try:
        async with (
            line(database, tmp_path, settings) as lot,
            terminal(lot.edge, "weld-1") as weld,
        ):
            await weld.press("f1")
            number = await lot.hold()
            await shown(weld, f"on hold, nonconformance {number}: crack 1")
            await lot.release(number)
            await shown(weld, "on hold", gone=True)
    finally:
        database.close()

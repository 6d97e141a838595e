"""VDA 5050 against peers that this project did not write: npm's vda-5050-lib, over Mosquitto.

Its virtual AGV completes orders of ours, updates included, and is cancelled; its master control drives our
virtual AGV.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.vda5050.driver import Vda5050Driver
from drivers.vda5050.profile import Vda5050Profile
from drivers.vda5050.simulator import Vda5050Server
from drivers.virtual.agv import VirtualAgv
from protocols.vda5050_lifecycles import OrderState
from protocols.vda5050_topics import VehicleId
from tests.drivers.virtual.vda5050_world import stops
from tests.servers import MosquittoServer
from tests.system.foreign_programs import VDA_5050_LIB, node
from tests.system.processes import Process, until

PROFILE = Path(__file__).parents[2] / "firmware_configs" / "profiles" / "virtual" / "agv-vda.yaml"

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("npm", "mosquitto"),
    pytest.mark.timeout(600),  # the first time npm fetches the library
]


def profile() -> Vda5050Profile:
    loaded = load_profile(PROFILE)
    assert isinstance(loaded, Vda5050Profile)
    return loaded


async def shown(process: Process, condition: Callable[[str], bool], what: str) -> None:
    async def asks() -> bool:
        process.check()
        return condition(process.tail(200))

    await until(asks, what, 60)


async def order_state(made: Vda5050Driver, wanted: OrderState) -> None:
    async def asks() -> bool:
        order = made.control.order
        assert order is not None
        assert order.state is wanted or not order.ended, f"{order.order_id} is {order.state}: {order.reason}"
        return order.state is wanted

    await until(asks, f"the order is {wanted}", 60)


async def test_a_foreign_vehicle_completes_our_orders_and_is_cancelled(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    serial = uuid.uuid4().hex[:8]
    agv = Process("agv", node(VDA_5050_LIB, "agv.js", mosquitto.url, serial), tmp_path / "logs" / "agv.log")
    agv.start()
    try:
        await shown(agv, lambda text: "ready" in text, "the vehicle is ready")
        url = f"vda5050://{mosquitto.host}:{mosquitto.port}/uagv/foreign/{serial}"
        made = driver_type("vda5050").create(url, profile(), {"timeout": 35, "resend": 2})
        assert isinstance(made, Vda5050Driver)
        async with made:
            stream = asyncio.create_task(made.stream(lambda _: None))
            try:
                route, ways = stops(4)
                made.give("order-1", route, ways, 2)
                await order_state(made, OrderState.ACTIVE)

                async def at_the_end_of_the_base() -> bool:
                    state = made.control.state
                    return state is not None and state.last_node_id == "n1" and not state.driving

                await until(at_the_end_of_the_base, "it waits at the end of its base", 60)
                made.release(4)
                await order_state(made, OrderState.FINISHED)
                state = made.control.state
                assert state is not None
                assert (state.last_node_id, state.last_node_sequence_id) == ("n3", 6)
                done = {each.action_id: each.action_status for each in state.action_states}
                assert (done["a2"], done["a3"]) == ("FINISHED", "FINISHED")
                route, ways = stops(40, actions=False, start=3)
                made.give("order-2", route, ways, 40)
                await order_state(made, OrderState.ACTIVE)
                made.cancel()
                await order_state(made, OrderState.CANCELLED)
                state = made.control.state
                assert state is not None
                assert state.is_idle
                assert state.last_node_id != "n42"
            finally:
                stream.cancel()
                await asyncio.gather(stream, return_exceptions=True)
    finally:
        await agv.stop()
    assert agv.orphans() == []


async def test_a_foreign_master_drives_our_virtual_vehicle(
    mosquitto: MosquittoServer, tmp_path: Path
) -> None:
    who = VehicleId("uagv", "onelot", uuid.uuid4().hex[:8])
    ours = VirtualAgv(who, "n0", map_id="m", hurry=4, version="2.0.0")
    master = Process(
        "master",
        node(VDA_5050_LIB, "agv_master.js", mosquitto.url, who.manufacturer, who.serial),
        tmp_path / "logs" / "master.log",
    )
    async with Vda5050Server(profile(), mosquitto.host, mosquitto.port, vehicle=who, agv=ours):
        master.start()
        try:
            await shown(master, lambda text: "processed error=none active=false" in text, "the order is done")
            await shown(master, lambda text: "instant FAILED" in text, "there is nothing left to cancel")
            text = master.tail(200)
        finally:
            await master.stop()
    assert [line for line in text.splitlines() if "node n" in line][-1].endswith("node n3")
    for done in ("action a2 FINISHED", "action a3 FINISHED"):
        assert done in text
    assert (ours.node, ours.load) == ("n3", "")
    assert master.orphans() == []

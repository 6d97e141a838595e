"""Calls of OPC UA methods that a profile declares, with typed arguments and results.

What a method does is the profile's word (``effect``), but not against the method's own name: one that starts
or resumes a machine at once is refused where the profile calls it harmless.
Imported only together with asyncua.
"""

from __future__ import annotations

from collections.abc import Mapping

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError

from drivers.driver import WriteFailed, WriteRefused, WriteUnknown
from drivers.opcua.profile import NodeAddress, OpcuaMethod, OpcuaProfile, effect_of_name
from drivers.opcua.values import VARIANTS, Mismatch, plain_converter, raw_value
from drivers.profile.profile import Tag
from protocols.values import DataType, Value


async def invoke(
    client: Client, profile: OpcuaProfile, name: str, rule: OpcuaMethod, arguments: Mapping[str, Value]
) -> dict[str, Value]:
    """Call a method; its results by name. Goes through no gate: only ``Driver.call`` may use it.

    Raises:
        WriteRefused: an argument does not fit its type, or the method does more than its rule says.
        WriteFailed: the server refused it, or answered with other results than the profile says.
        WriteUnknown: no answer.
    """
    what = f'"{name}"'
    inputs = [_variant(what, key, kind, arguments[key]) for key, kind in rule.inputs.items()]
    target, method = await _places(client, profile, what, rule)
    await _says_what_it_does(client, what, method, rule)
    results = await call(client, what, target, method, inputs)
    if len(results) < len(rule.outputs):
        raise WriteFailed(f"{what}: {len(results)} results came, the profile says {len(rule.outputs)}")
    return {
        key: _result(what, key, kind, result)
        for (key, kind), result in zip(rule.outputs.items(), results, strict=False)
    }


async def call(
    client: Client,
    what: str,
    target: ua.NodeId,
    method: ua.NodeId,
    inputs: list[ua.Variant],
    *,
    uncertain: bool = False,
) -> list[ua.Variant]:
    """One Call request (OPC 10000-4, 5.12.2) and its results, also for an uncertain status if asked.

    Raises:
        WriteFailed: the server refused it (says which argument).
        WriteUnknown: no answer.
    """
    request = ua.CallMethodRequest(ObjectId=target, MethodId=method, InputArguments=inputs)
    try:
        (result,) = await client.uaclient.session.call([request])
    except (TimeoutError, OSError) as error:
        cause = str(error) or "no answer"
        raise WriteUnknown(f"{what}: {cause}; it may have taken effect — ask the machine") from error
    except UaError as error:
        raise WriteFailed(f"{what}: {error}") from error
    if not (result.StatusCode.is_good() or (uncertain and result.StatusCode.is_uncertain())):
        wrong = [n for n, status in enumerate(result.InputArgumentResults or []) if not status.is_good()]
        where = f" (argument {wrong[0] + 1})" if wrong else ""
        raise WriteFailed(f"{what}: the server answered {result.StatusCode.name}{where}")
    return list(result.OutputArguments or [])


def node_id(place: NodeAddress, uris: list[str]) -> ua.NodeId | None:
    """A profile's node as this server numbers it; None when it does not have the namespace."""
    if place.uri is None:
        number = place.number
    elif place.uri in uris:
        number = uris.index(place.uri)
    else:
        return None
    return ua.NodeId(place.identifier, number)  # type: ignore[arg-type]


async def _places(
    client: Client, profile: OpcuaProfile, what: str, rule: OpcuaMethod
) -> tuple[ua.NodeId, ua.NodeId]:
    try:
        uris = await client.get_namespace_array()
    except (TimeoutError, OSError, UaError) as error:
        raise WriteRefused(f"{what}: {str(error) or 'no answer'}; nothing was sent") from error
    found = []
    for address in (rule.object, rule.method):
        place = profile.node(address)
        node = node_id(place, uris)
        if node is None:
            raise WriteRefused(f'{what}: the server has no namespace "{place.uri}"')
        found.append(node)
    return found[0], found[1]


async def _says_what_it_does(client: Client, what: str, method: ua.NodeId, rule: OpcuaMethod) -> None:
    """A method whose name at the machine starts something may not pass as harmless.

    The profile's own names were checked when it was read; node ids may be plain numbers.
    """
    try:
        name = (await client.get_node(method).read_browse_name()).Name
    except (TimeoutError, OSError, UaError) as error:
        raise WriteRefused(f"{what}: {str(error) or 'no answer'}; nothing was sent") from error
    needed = effect_of_name(name or "")
    if needed is not None and rule.effect is not needed:
        raise WriteRefused(
            f"{what}: the machine calls this method {name}, which is a {needed}, "
            f"and the profile says {rule.effect} — set effect: {needed}"
        )


def _variant(what: str, name: str, kind: DataType, value: Value) -> ua.Variant:
    try:
        raw = raw_value(Tag(address="", type=kind), value)
    except ValueError as error:
        raise WriteRefused(f"{what}: argument {name}: {error}") from None
    return ua.Variant(raw, VARIANTS[kind])


def _result(what: str, name: str, kind: DataType, result: ua.Variant) -> Value:
    try:
        return plain_converter(Tag(address="", type=kind))(result.Value)
    except Mismatch:
        shown = type(result.Value).__name__
        raise WriteFailed(f"{what}: the result {name} is a {shown}, the profile says {kind}") from None

"""Hypothesis values of any wire struct, made from its type: a new field or event is tested without a word."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec.inspect as types
from hypothesis import strategies as st


@cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type as msgspec sees it."""
    return _values(types.type_info(kind))


def _values(kind: types.Type) -> st.SearchStrategy[Any]:
    match kind:
        case types.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: _values(field.type) for field in fields})
        case types.UnionType(types=members):
            return st.one_of([_values(member) for member in members])
        case types.IntType(ge=least, le=most):
            return st.integers(-(2**63) if least is None else least, 2**63 - 1 if most is None else most)
        case types.BytesType(min_length=least, max_length=most):
            return st.binary(min_size=least or 0, max_size=16 if most is None else most)
        case types.StrType():
            return st.text(max_size=6)
        case types.FloatType():
            return st.floats(allow_nan=False)
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
        case types.DecimalType():
            return st.decimals(allow_nan=False, allow_infinity=False)
        case types.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case types.ListType(item_type=item):
            return st.lists(_values(item), max_size=2)
        case types.VarTupleType(item_type=item):
            return st.lists(_values(item), max_size=2).map(tuple)
        case types.TupleType(item_types=items):
            return st.tuples(*map(_values, items))
        case types.DictType(key_type=key, value_type=value):
            return st.dictionaries(_values(key), _values(value), max_size=2)
    raise NotImplementedError(f"no values of {kind}")

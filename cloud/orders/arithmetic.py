"""What a product file may say about its parameters: ``{name}`` in texts and small sums. Never code.

A formula knows numbers, names, ``+ - * /`` and parentheses. It is parsed by Python's own parser and only
those nodes are accepted, so that nothing in a product file can call, index or import anything.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from functools import lru_cache

from protocols.documents import not_one_of, quoted

MAX_LENGTH = 200
"""Characters of a formula."""
PLACES = Decimal("0.001")
"""What results are rounded to."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_BINARY: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: dict[type[ast.unaryop], Callable[[Decimal], Decimal]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


class FormulaError(ValueError):
    """A formula or text that cannot be used; the message says which part and what is allowed."""


@lru_cache(maxsize=1024)
def _parsed(formula: str) -> ast.expr:
    if len(formula) > MAX_LENGTH:
        raise FormulaError(f"a formula of {len(formula)} characters, the limit is {MAX_LENGTH}")
    try:
        body = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{quoted(formula)} is not a formula: write for example width - 2 * 25") from None
    for node in ast.walk(body):
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        allowed = isinstance(node, ast.BinOp | ast.UnaryOp | ast.Name | ast.Load)
        if not number and not allowed and type(node) not in _BINARY and type(node) not in _UNARY:
            raise FormulaError(
                f"{quoted(formula)} may only use numbers, parameter names, + - * / and parentheses"
            )
    return body


def names_in_formula(formula: str) -> set[str]:
    """The names a formula refers to; raises FormulaError when it is none."""
    return {node.id for node in ast.walk(_parsed(formula)) if isinstance(node, ast.Name)}


def evaluate(formula: str, values: Mapping[str, Decimal]) -> Decimal:
    """The result, rounded to three places; raises FormulaError (unknown name, division by zero, overflow)."""
    try:
        result = _value(_parsed(formula), values).quantize(PLACES)
    except DecimalException:
        shown = ", ".join(f"{name} = {values[name]}" for name in sorted(names_in_formula(formula)))
        raise FormulaError(f"{quoted(formula)} has no result for {shown or 'these numbers'}") from None
    return plain(result)


def _value(node: ast.expr, values: Mapping[str, Decimal]) -> Decimal:
    if isinstance(node, ast.BinOp):
        return _BINARY[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_value(node.operand, values))
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise FormulaError(not_one_of(node.id, sorted(values)))
        return values[node.id]
    if isinstance(node, ast.Constant):
        return Decimal(str(node.value))
    raise FormulaError("not a formula")


def plain(number: Decimal) -> Decimal:
    """The same number without trailing zeros and without an exponent."""
    short = number.normalize()
    exponent = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short


def names_in_text(template: str) -> list[str]:
    """The names between braces, in order."""
    return _PLACEHOLDER.findall(template)


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text with every ``{name}`` replaced; raises FormulaError for a name that is not there."""

    def word(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            raise FormulaError(f"{{{name}}}: {not_one_of(name, sorted(values))}")
        return values[name]

    return _PLACEHOLDER.sub(word, template)

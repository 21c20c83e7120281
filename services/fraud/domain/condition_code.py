"""Conditions in CEL as Python code: ten times as fast as asking an interpreter, for all that most rules are made of.

Covered are integers, true and false, features, arithmetic, comparisons, `!`, `&&`, `||` and `? :`, as the language
definition (github.com/google/cel-spec, doc/langdef.md) has them. Whatever else a condition says is left to the
interpreter, and so is every transfer for which the code here raises: an overflow, say, or a division by zero. For CEL
has it that `x && false` is false even if x cannot be computed; where nothing was raised, both always agree.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from services.fraud.domain.features import BY_NAME, PLACES, Value

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_DEPTH_MAX: Final = 40
"""Nesting beyond it is left to the interpreter: the compiler has a bound of its own."""

_TOKENS: Final = re.compile(r"\s*(\d+(?![\w.])|[A-Za-z_]\w*|&&|\|\||[<>=!]=|[-+*/%<>!?:()])")

_Kind = Literal["int", "bool"]


class _Node(NamedTuple):
    """A part of a condition, with the type that CEL gives it."""

    code: ast.expr
    kind: _Kind


class _NotCoveredError(Exception):
    """This is for the interpreter."""


def compile_conditions(conditions: Sequence[str]) -> tuple[Callable[[Sequence[Value]], int], list[int]]:
    """Return a function of the catalogue's values, and the places of the conditions that it does not answer.

    Bit n of what it returns tells whether condition n holds. It raises ArithmeticError where the interpreter has to be
    asked about all of them. The conditions are ones that CEL's checker has accepted.
    """
    total: ast.expr = ast.Constant(0)
    left_over = []
    for bit, condition in enumerate(conditions):
        try:
            node = _Reader(condition).read()
        except _NotCoveredError:
            left_over.append(bit)
            continue
        total = ast.BinOp(total, ast.BitOr(), ast.IfExp(node.code, ast.Constant(1 << bit), ast.Constant(0)))
    parameters = ast.arguments(
        posonlyargs=[], args=[ast.arg("values")], kwonlyargs=[], kw_defaults=[], defaults=[], vararg=None, kwarg=None
    )
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(parameters, total)))
    # The tree is made of the few kinds of nodes that are written here, whatever the text said.
    code = eval(compile(tree, "<conditions>", "eval"), {"__builtins__": {}, **_FUNCTIONS})  # noqa: S307 -- written above, node by node
    return code, left_over


def _bounded(number: int) -> int:
    if _INT_MIN <= number <= _INT_MAX:
        return number
    raise OverflowError


def _quotient(dividend: int, divisor: int) -> int:
    """Return the quotient rounded towards zero, as CEL has it; Python rounds down."""
    quotient = abs(dividend) // abs(divisor)
    return _bounded(quotient if (dividend < 0) == (divisor < 0) else -quotient)


def _remainder(dividend: int, divisor: int) -> int:
    """Return the remainder with the sign of the dividend, as CEL has it; Python gives it that of the divisor."""
    return dividend - divisor * _quotient(dividend, divisor)


_FUNCTIONS: Final = MappingProxyType({"bounded": _bounded, "quotient": _quotient, "remainder": _remainder})
_ARITHMETIC: Final[Mapping[str, type[ast.operator] | str]] = MappingProxyType(
    {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": "quotient", "%": "remainder"}
)
_COMPARISONS: Final[Mapping[str, type[ast.cmpop]]] = MappingProxyType(
    {"==": ast.Eq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
)
_LEVELS: Final = (("||",), ("&&",), tuple(_COMPARISONS), ("+", "-"), ("*", "/", "%"))
"""Operators with two operands, those that bind least first; all of them group from the left."""


class _Reader:
    """Reads one condition from left to right. Raises: _NotCoveredError."""

    def __init__(self, condition: str) -> None:
        self._tokens = _split(condition)
        self._place = 0
        self._depth = 0

    def read(self) -> _Node:
        node = _of_kind("bool", self._choice())
        if self._next():
            raise _NotCoveredError
        return node

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        token = self._next()
        if token not in wanted:
            return ""
        self._place += 1
        return token

    def _choice(self) -> _Node:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise _NotCoveredError
        node = self._binary(0)
        if self._take("?"):
            test, first = _of_kind("bool", node), self._binary(0)
            if not self._take(":"):
                raise _NotCoveredError
            second = _of_kind(first.kind, self._choice())
            node = _Node(ast.IfExp(test.code, first.code, second.code), first.kind)
        self._depth -= 1
        return node

    def _binary(self, level: int) -> _Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while operator := self._take(*_LEVELS[level]):
            node = _combine(operator, node, self._binary(level + 1))
        return node

    def _unary(self) -> _Node:
        if self._take("!"):
            return _Node(ast.UnaryOp(ast.Not(), _of_kind("bool", self._atom()).code), "bool")
        if self._take("-"):
            return _combine("-", _Node(ast.Constant(0), "int"), _of_kind("int", self._atom()))
        return self._atom()

    def _atom(self) -> _Node:
        if self._take("("):
            node = self._choice()
            if not self._take(")"):
                raise _NotCoveredError
            return node
        word = self._next()
        self._place += 1
        if word.isdecimal() and int(word) <= _INT_MAX:
            return _Node(ast.Constant(int(word)), "int")
        if word in ("true", "false"):
            return _Node(ast.Constant(word == "true"), "bool")
        feature = BY_NAME.get(word)
        if feature is None:
            raise _NotCoveredError
        values = ast.Name("values", ast.Load())
        return _Node(ast.Subscript(values, ast.Constant(PLACES[word]), ast.Load()), feature.kind)


def _split(condition: str) -> list[str]:
    tokens, place, text = [], 0, condition.rstrip()
    while place < len(text):
        found = _TOKENS.match(text, place)
        if found is None:
            raise _NotCoveredError
        tokens.append(found[1])
        place = found.end()
    return tokens


def _of_kind(kind: _Kind, node: _Node) -> _Node:
    if node.kind != kind:
        raise _NotCoveredError
    return node


def _combine(operator: str, left: _Node, right: _Node) -> _Node:
    right = _of_kind(left.kind, right)
    if operator in _COMPARISONS:
        return _Node(ast.Compare(left.code, [_COMPARISONS[operator]()], [right.code]), "bool")
    if operator in ("&&", "||"):
        joint = ast.And() if operator == "&&" else ast.Or()
        return _Node(ast.BoolOp(joint, [_of_kind("bool", left).code, right.code]), "bool")
    _of_kind("int", left)
    known = _folded(operator, left.code, right.code)
    return _Node(known or _arithmetic(operator, left.code, right.code), "int")


def _arithmetic(operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
    how = _ARITHMETIC[operator]
    if isinstance(how, str):
        return ast.Call(ast.Name(how, ast.Load()), [left, right], [])
    return ast.Call(ast.Name("bounded", ast.Load()), [ast.BinOp(left, how(), right)], [])


def _folded(operator: str, left: Any, right: Any) -> ast.expr | None:
    """Return what two numbers written in the condition amount to, so that `7 * 86400` costs nothing."""
    if not (isinstance(left, ast.Constant) and isinstance(right, ast.Constant)):
        return None
    tree = ast.fix_missing_locations(ast.Expression(_arithmetic(operator, left, right)))
    try:
        return ast.Constant(eval(compile(tree, "<numbers>", "eval"), {"__builtins__": {}, **_FUNCTIONS}))  # noqa: S307 -- written above, node by node
    except ArithmeticError:
        return None

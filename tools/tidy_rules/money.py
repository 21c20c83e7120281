"""Money is an integer in minor units; nothing binary and fractional may come near it."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation, dotted

WORDS = ("amount", "minor", "money")


def float_beside_money(source: Source) -> Iterator[Violation]:
    """Refuse a float literal, `float` or true division where a name speaks of money."""
    if not source.is_product:
        return
    lines = {
        value.lineno for node in source.nodes for name, value in _pairs(node) if _is_money(name) and _floats(value)
    }
    for line in sorted(lines):
        yield Violation(line, "money is an integer in minor units: no float, no `/`; use // and say the rounding")


def _pairs(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield each (words, expression) in which the words say what the expression is."""
    yield from _bound(node)
    yield from _computed(node)


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a name is given: by assignment, annotation or argument."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield " ".join(_words(target) for target in targets), value
        case ast.AnnAssign(target=target, annotation=annotation, value=value):
            yield _words(target), annotation
            if value is not None:
                yield _words(target), value
        case ast.AugAssign(target=target, op=op, value=value):
            yield _words(target), ast.copy_location(ast.BinOp(target, op, value), node)
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.arg(arg=name, annotation=ast.expr() as annotation):
            yield name, annotation


def _computed(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is computed from, called with or filed under a name."""
    match node:
        case ast.BinOp() | ast.Compare():
            yield _words(node), node
        case ast.Call(func=func, args=args):
            for argument in args:
                yield dotted(func).rpartition(".")[2], argument
            if dotted(func) == "float":
                yield _words(node), node
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                yield _words(key) if key else "", value


def _words(node: ast.AST) -> str:
    """Collect every name in an expression; a string is one when it is spelled like one."""
    found = []
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.append(name)
            case ast.Constant(value=str(name)) if name.isidentifier():
                found.append(name)
    return " ".join(found)


def _is_money(words: str) -> bool:
    return any(word in words.lower() for word in WORDS)


def _floats(value: ast.expr) -> bool:
    for node in ast.walk(value):
        match node:
            case ast.Constant(value=float()) | ast.Name(id="float") | ast.Div():
                return True
    return False

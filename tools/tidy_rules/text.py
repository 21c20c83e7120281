"""What is silenced, swallowed, put off or skipped says why, beside it."""

import ast
import re
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation, dotted

BROAD = {"Exception", "BaseException"}
DIRECTIVE = re.compile(r"#\s*(?P<kind>noqa|type:\s*ignore)\b(?P<codes>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|\[[\w, -]+\])?")
REASON = re.compile(r"[^\W\d_]{4,}")  # a word, at least
UNFINISHED = re.compile(r"\b(?:TODO|FIXME)\b")  # tidy: allow unfinished-work: the rule has to spell them
MACHINE = re.compile(r"(?<![\w.*>/-])/(?:root|work|Users|home/\w+)/")
SKIPS = {"skip", "skipif", "xfail"}


def _reason(comment: str) -> bool:
    return bool(REASON.search(DIRECTIVE.sub("", comment)))


def broad_except(source: Source) -> Iterator[Violation]:
    """Refuse catching everything without a reason on the line; who ends with `raise` only cleans up on the way."""
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node) or isinstance(node.body[-1], ast.Raise):
            continue
        if not _reason(source.comments.get(node.lineno, "")):
            yield Violation(node.lineno, "catch what you can answer for, or say on this line why everything")


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in BROAD for kind in caught)


def silent_suppression(source: Source) -> Iterator[Violation]:
    """Refuse a lint or type suppression without its code and a reason."""
    if not source.is_python:
        return
    for line, comment in source.comments.items():
        found = DIRECTIVE.search(comment)
        if found and not (found["codes"] and _reason(comment)):
            yield Violation(line, f"`{found['kind']}` needs a code and a reason")


def unfinished_work(source: Source) -> Iterator[Violation]:
    """Refuse notes about work left undone: do it, or open an issue."""
    for number, line in enumerate(source.lines, start=1):
        if UNFINISHED.search(line):
            yield Violation(number, "finish it or open an issue; the tree holds no promises")


def machine_path(source: Source) -> Iterator[Violation]:
    """Refuse a path that exists on one machine only."""
    for number, line in enumerate(source.lines, start=1):
        if found := MACHINE.search(line):
            yield Violation(number, f"`{found[0]}` is somebody's machine")


def skip_without_reason(source: Source) -> Iterator[Violation]:
    """Refuse a test that is skipped or expected to fail without saying why."""
    if not source.is_python:
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=args, keywords=keywords) if name in SKIPS:
                spelled = dotted(node.func)
                said = "reason" in {keyword.arg for keyword in keywords} or (spelled == f"pytest.{name}" and bool(args))
                if spelled.startswith("pytest.") and not said:
                    yield Violation(node.lineno, f"`{spelled}` needs a reason")
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Attribute) and mark.attr in SKIPS:
                        yield Violation(mark.lineno, f"`{dotted(mark)}` needs a reason")

"""Small by nature: a ratchet, not an axe. What is longer names its size and its reason, and cannot grow unseen."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 80


def long_file(source: Source) -> Iterator[Violation]:
    """Refuse a file nobody reads in one sitting."""
    size = len(source.lines)
    if source.is_product and size > FILE_LINES_MAX:
        yield Violation(1, f"{size} lines, more than {FILE_LINES_MAX}: there are two things in it", size)


def long_function(source: Source) -> Iterator[Violation]:
    """Refuse a function that does not fit on a screen."""
    if not source.is_product:
        return
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES_MAX:
                yield Violation(node.lineno, f"`{node.name}` has {size} lines, more than {FUNCTION_LINES_MAX}", size)

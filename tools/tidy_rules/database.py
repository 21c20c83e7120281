"""One message, one transaction: whoever could commit in the middle would break that."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation

CALLS = {"commit", "begin", "begin_nested", "transaction"}
# The unit of work; delivery, which commits offsets; the hot statements; alembic's own runner.
ALLOWED = ("libs/common/db", "libs/common/messaging", "services/*/store", "services/*/migrations")


def commit_outside_unit_of_work(source: Source) -> Iterator[Violation]:
    """Refuse beginning or committing a transaction outside the unit of work and the stores."""
    if not source.is_product or source.lies_in(*ALLOWED):
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in CALLS:
                yield Violation(node.lineno, f"`.{name}()` outside {', '.join(ALLOWED)}: open the unit of work instead")

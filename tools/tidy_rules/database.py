"""One message, one transaction: whoever could commit in the middle would break that."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation, dotted

CALLS = {"commit", "begin", "begin_nested", "transaction"}
UNIT_OF_WORK = ("uow", "unit_of_work")
# The unit of work; delivery, which commits offsets; the hot statements; alembic's own runner.
ALLOWED = ("libs/common/db", "libs/common/messaging", "services/*/store", "services/*/migrations")


def commit_outside_unit_of_work(source: Source) -> Iterator[Violation]:
    """Refuse beginning or committing outside the unit of work and the stores; use cases begin by `uow.begin()`."""
    if not source.is_product or source.lies_in(*ALLOWED):
        return
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in CALLS:
                if name == "begin" and dotted(owner).endswith(UNIT_OF_WORK):
                    continue
                yield Violation(node.lineno, f"`.{name}()` outside {', '.join(ALLOWED)}: open the unit of work instead")

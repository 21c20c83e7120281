"""What decides is pure: a domain and the contracts import values and nothing that acts.

import-linter forbids known frameworks, also through others; this allows only what is named, so that a library nobody
thought of is refused as well.
"""

import ast
import sys
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation

VALUES = tuple(f"libs.common.{name}" for name in ("money", "ids", "errors", "field_errors", "invariants"))
ACTING = {
    "asyncio",
    "logging",
    "os",
    "random",
    "secrets",
    "select",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
}
STANDARD = sys.stdlib_module_names - ACTING


def impure_value_code(source: Source) -> Iterator[Violation]:
    """Refuse, in domains and contracts, every import that is not pure standard library or one of the value modules."""
    if source.lies_in("services/*/domain"):
        own = ".".join(source.path.split("/")[:3])
        allowed: tuple[str, ...] = (own, "libs.common.proof", *VALUES)
    elif source.lies_in("libs/common/contracts"):
        allowed = ("libs.common.contracts", "msgspec", *VALUES)
    else:
        return
    for line, module in _imports(source):
        if module.split(".")[0] not in STANDARD and not f"{module}.".startswith(tuple(f"{name}." for name in allowed)):
            yield Violation(line, f"`{module}` is neither pure standard library nor a value module")


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=str(module), names=names):
                # `from libs.common import money` names the module last.
                yield from ((node.lineno, f"{module}.{name.name}") for name in names)

"""Writes docs/permissions.md from the permission matrix: `python -m tools.permissions [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from libs.common.http.permissions import PERMISSIONS, ROLES, Permission, Role
from libs.common.invariants import check

PAGE: Final = Path(__file__).parents[1] / "docs" / "permissions.md"
_ORDER: Final[tuple[Role, ...]] = ("customer", "support", "compliance", "operator", "auditor", "admin")
_HEAD: Final = """# Who may do what

Written by `make permissions` from `libs/common/http/permissions.py`, by which every route of every service is guarded.
A route without an action keeps its service from starting.

A dot is a role that may. *Related* may whatever their roles are. *Scope* is what an API key needs besides, which never
does more than its holder's roles allow; without a scope only a person who logged in may. *Fresh* asks of staff who
logged in that they have shown a second factor not long ago, where the installation asks for it
(`…_MAX_AUTH_AGE_SECONDS`); API keys are bound by their scopes instead.

Nobody changes his own roles, reviews himself, changes his own account as staff, or pays himself from the reserve; those
routes refuse with a code of their own, whoever asks.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_table()]) + "\n"


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; return the exit code."""
    if arguments != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stdout.write("docs/permissions.md is out of date; write it with `make permissions`\n")
    return 1


def _table() -> Iterator[str]:
    check(frozenset(_ORDER) == ROLES, "every role has its column")
    yield f"| action | what it is | {' | '.join(_ORDER)} | related | scope | fresh |"
    yield f"|---|---|{':-:|' * len(_ORDER)}---|---|:-:|"
    for action, permission in PERMISSIONS.items():
        yield _line(action, permission)


def _line(action: str, permission: Permission) -> str:
    dots = " | ".join("•" if role in permission.roles else "" for role in _ORDER)
    related = "anybody" if permission.public else permission.related
    scope = f"`{permission.scope}`" if permission.scope else ""
    fresh = "•" if permission.fresh else ""
    return f"| `{action}` | {permission.what} | {dots} | {related} | {scope} | {fresh} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

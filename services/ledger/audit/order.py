"""What the process that verifies is told on its standard input, and the lines it says on its standard output."""

import msgspec

from services.ledger.audit.findings import Scope, Verification


class Order(msgspec.Struct, frozen=True):
    """One verification. `vkeys` is one a line; `turn` says which slice of the old a minute's check takes."""

    dsn: str
    vkeys: str
    shard: int
    scope: Scope
    subject_id: str
    turn: int


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far it is; or, once, what it found; or why nothing can be said."""

    done: int = 0
    total: int = 0
    found: Verification | None = None
    reason: str = ""

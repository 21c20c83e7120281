"""`python -m services.ledger.audit_process`: one verification in a process of its own, behind everybody else.

Recomputing a journal is minutes of pure computing; inside the writer or the API every request would wait for it.
"""

import gc
import os
import sys
from typing import Final

import asyncpg
import msgspec
import uvloop

from libs.common.clock import monotonic_seconds
from libs.common.proof.signed_note import parse_vkeys
from services.ledger.audit.findings import CannotVerify
from services.ledger.audit.order import Line, Order
from services.ledger.use_cases.verify_ledger import verify_ledger

_NICE: Final = 10


def main() -> None:
    """Read the order, verify, say how it goes and what came out."""
    os.nice(_NICE)
    # Hundreds of thousands of records a second and no cycle among them: looking for some costs a fifth of the time.
    gc.disable()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        _say(uvloop.run(_verify(order)))
    except (CannotVerify, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
        _say(Line(reason=str(failure) or repr(failure)))


async def _verify(order: Order) -> Line:
    found = await verify_ledger(
        order.dsn,
        parse_vkeys(order.vkeys),
        shard=order.shard,
        monotonic_seconds=monotonic_seconds,
        progress=lambda done, total: _say(Line(done=done, total=total)),
        scope=order.scope,
        subject_id=order.subject_id,
        turn=order.turn,
    )
    return Line(found=found)


def _say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
